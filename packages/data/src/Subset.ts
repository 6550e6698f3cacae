/** Seeded subsets, balanced over the classes. Subsets of one seed are nested: the smaller is part of the larger. */
import { Failure, Rng } from "@adafm/core"
import * as ImageSet from "./ImageSet.ts"

export interface Options {
  /** Most images in the subset. */
  readonly limit?: number
  /** Most images of each class. */
  readonly perClass?: number
  readonly seed?: number
}

/**
 * Indices of the chosen images. Every class is shuffled, then the classes take turns, one image each, so that the counts of two
 * classes differ by at most one while both have images left.
 */
export const places = (
  { labels, classes }: Pick<ImageSet.ImageSet, "labels" | "classes">,
  { limit = labels.length, perClass = labels.length, seed = 0 }: Options,
): readonly number[] => {
  const members = classes.map(() => [] as number[])
  labels.forEach((label, i) => {
    members[label]!.push(i)
  })
  const queues = members.map((all, label) =>
    // of one image nothing is drawn
    (all.length > 1
      ? [...Rng.permutation(Rng.at(seed, "data/subset", label), all.length)].map((k) => all[k]!)
      : all
    ).slice(0, perClass),
  )
  const chosen: number[] = []
  let left = queues.filter((queue) => queue.length > 0)
  // only classes that have images left take turns, so that one large class among thousands costs nothing
  for (let turn = 0; left.length > 0 && chosen.length < limit; turn++) {
    for (const queue of left) chosen.push(queue[turn]!)
    left = left.filter((queue) => queue.length > turn + 1)
  }
  return chosen.slice(0, limit)
}

/** The chosen images as a set, in byte order of their names; the whole set if there is no limit. */
export const take = (set: ImageSet.ImageSet, options: Options): ImageSet.ImageSet =>
  options.limit === undefined && options.perClass === undefined
    ? set
    : ImageSet.pick(
        set,
        [...places(set, options)].sort((a, b) => a - b),
      )

/** The images of the given classes. Their labels count these classes, in the given order. */
export const ofClasses = (set: ImageSet.ImageSet, classes: readonly string[]): ImageSet.ImageSet => {
  const [known, numbers] = [new Set(set.classes), new Map(classes.map((name, number) => [name, number]))]
  const missing = classes.find((name) => !known.has(name))
  if (missing !== undefined) {
    Failure.raise("NoClass", `the images have no class ${missing}; the classes are ${set.classes.join(", ")}`, {
      file: set.path,
    })
  }
  const numberOf = (i: number): number | undefined => numbers.get(set.classes[set.labels[i]!]!)
  const kept = [...set.labels.keys()].filter((i) => numberOf(i) !== undefined)
  const labels = Int32Array.from(kept, (i) => numberOf(i)!)
  return { ...ImageSet.pick(set, kept), classes, labels }
}
