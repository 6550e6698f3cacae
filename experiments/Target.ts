/**
 * Images to learn from and images to be judged by. Photographs are split by photographer where `LICENSE.txt` beside them names
 * them; a draw is a seeded subset of the pool, and smaller draws of one seed lie within larger ones.
 */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Failure, Rng } from "@adafm/core"
import { Drawn, ImageSet, Subset } from "@adafm/data"

/** Share of a class that is held out, and the most images of it. */
const HELD_OUT = { share: 0.3, most: 200 } as const

export interface Split {
  readonly pool: readonly string[]
  readonly heldOut: readonly string[]
}

/** Whole groups of images (all of one photographer, say) go to one side. */
export const split = (
  set: Pick<ImageSet.ImageSet, "names" | "labels" | "classes">,
  groupOf: (name: string) => string,
): Split => {
  const heldOut = new Set<string>()
  const all = [...new Set(set.names.map(groupOf))].sort()
  const order = [...Rng.permutation(Rng.at(0, "experiments/split"), all.length)].map((i) => all[i]!)
  const members = new Map(all.map((group) => [group, [] as number[]]))
  set.names.forEach((name, i) => {
    members.get(groupOf(name))!.push(i)
  })
  const sizes = set.classes.map((_, label) => set.labels.reduce((n, l) => n + (l === label ? 1 : 0), 0))
  const wanted = sizes.map((size) => Math.min(HELD_OUT.most, Math.floor(HELD_OUT.share * size)))
  const missing = [...wanted]
  for (const group of order) {
    const places = members.get(group) ?? []
    if (!places.every((i) => missing[set.labels[i]!]! > 0)) continue
    for (const i of places) {
      heldOut.add(set.names[i]!)
      missing[set.labels[i]!]!--
    }
  }
  return {
    pool: set.names.filter((name) => !heldOut.has(name)),
    heldOut: set.names.filter((name) => heldOut.has(name)),
  }
}

/** `daisy/1.jpg CC-BY by SOMEBODY - https://…` or `daisy/1.jpg CC-BY https://… - by SOMEBODY`: who took which image. */
export const photographers = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text.split("\n").flatMap((line) => {
      const found = /^(\S+) CC-BY (?:by (.*) - https?:\S*|https?:\S* - by (.*))$/.exec(line.trim())
      return found === null ? [] : [[found[1]!, found[2] ?? found[3]!] as const]
    }),
  )

const openSet = (path: string): Promise<ImageSet.ImageSet> =>
  Failure.orRaise(Drawn.names(path) ? Drawn.open(path) : ImageSet.open(path))

/** Where the images of an experiment lie. */
export interface Places {
  readonly data: string
  readonly train: readonly string[]
  readonly reference: string
  readonly heldOut: readonly string[]
}

export interface Target extends Places {
  readonly name: string
  /** SHA-256 over names and contents. */
  readonly hashes: { readonly train: string; readonly heldOut: string }
}

const pick = (set: ImageSet.ImageSet, names: readonly string[]): ImageSet.ImageSet => {
  const wanted = new Set(names)
  return ImageSet.pick(
    set,
    [...set.names.keys()].filter((i) => wanted.has(set.names[i]!)),
  )
}

const nameOf = (path: string): string =>
  Drawn.names(path)
    ? path.split("?")[0]!
    : path
        .replace(/\/$/, "")
        .split("/")
        .at(-1)!
        .replace(/\.\w+$/, "")

/** The held-out side of a set of images; drawn pictures have one of their own. */
const sides = async (path: string, set: ImageSet.ImageSet): Promise<Split & { readonly reference: string }> => {
  if (Drawn.names(path)) {
    const reference = `${path}${path.includes("?") ? "&" : "?"}split=held-out`
    return { pool: set.names, heldOut: (await openSet(reference)).names, reference }
  }
  const licence = join(dirname(path), "LICENSE.txt")
  const authors = photographers(existsSync(licence) ? await readFile(licence, "utf8") : "")
  return { ...split(set, (name) => authors.get(name) ?? name), reference: path }
}

/** @param draw the seed of the draw @param images its size */
export const open = async (path: string, draw: number, images: number): Promise<Target> => {
  const set = await openSet(path)
  const { pool, heldOut, reference } = await sides(path, set)
  const judges = reference === path ? set : await openSet(reference)
  try {
    const train = Subset.take(pick(set, pool), { limit: images, seed: draw })
    const hash = (s: ImageSet.ImageSet): Promise<string> => Failure.orRaise(ImageSet.hash(s))
    return {
      ...{ name: nameOf(path), data: path, reference, heldOut, train: train.names },
      hashes: { train: await hash(train), heldOut: await hash(pick(judges, heldOut)) },
    }
  } finally {
    await set.close()
    if (judges !== set) await judges.close()
  }
}

/** The images to be judged by. */
export const withHeldOut = async <A>(
  { reference, heldOut }: Places,
  body: (set: ImageSet.ImageSet) => Promise<A>,
): Promise<A> => {
  const set = await openSet(reference)
  try {
    return await body(pick(set, heldOut))
  } finally {
    await set.close()
  }
}
