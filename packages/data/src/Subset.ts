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
    [...Rng.permutation(Rng.at(seed, "data/subset", label), all.length)].map((k) => all[k]!).slice(0, perClass),
  )
  const longest = Math.max(0, ...queues.map((q) => q.length))
  const turns = Array.from({ length: longest }, (_, turn) => queues.flatMap((q) => q.slice(turn, turn + 1)))
  return turns.flat().slice(0, limit)
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
  const missing = classes.find((name) => !set.classes.includes(name))
  if (missing !== undefined) {
    Failure.raise("NoClass", `the images have no class ${missing}; the classes are ${set.classes.join(", ")}`, {
      file: set.path,
    })
  }
  const kept = [...set.labels.keys()].filter((i) => classes.includes(set.classes[set.labels[i]!]!))
  const labels = Int32Array.from(kept, (i) => classes.indexOf(set.classes[set.labels[i]!]!))
  return { ...ImageSet.pick(set, kept), classes, labels }
}
