/**
 * Images to train on and held-out images. A target is `PATH` or `PATH#class`. Photographs are split by photographer if a
 * `LICENSE.txt` next to them names the photographers. Half of the held-out images choose checkpoints, the other half give the
 * reported scores. A draw is a seeded subset of the pool, and a smaller draw of the same seed lies within a larger one.
 */
import { createHash } from "node:crypto"
import { existsSync, readdirSync, statSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { Failure, Rng } from "@adafm/core"
import { Drawn, ImageSet, Subset } from "@adafm/data"
import { z } from "zod"

/** The share of each class that is held out, and the most images of a class. */
export interface Share {
  readonly share: number
  readonly most: number
  readonly purpose: string
}

const HELD_OUT: Share = { share: 0.3, most: 200, purpose: "experiments/split" }
const HALF: Share = { share: 0.5, most: Number.POSITIVE_INFINITY, purpose: "experiments/halves" }

export interface Split {
  readonly pool: readonly string[]
  readonly heldOut: readonly string[]
}

type Named = Pick<ImageSet.ImageSet, "names" | "labels" | "classes">

/** Puts whole groups of images, for example all of one photographer, on one side. */
export const split = (
  set: Named,
  groupOf: (name: string) => string,
  { share, most, purpose }: Share = HELD_OUT,
): Split => {
  const heldOut = new Set<string>()
  const all = [...new Set(set.names.map(groupOf))].sort()
  const order = [...Rng.permutation(Rng.at(0, purpose), all.length)].map((i) => all[i]!)
  const members = new Map(all.map((group) => [group, [] as number[]]))
  set.names.forEach((name, i) => {
    members.get(groupOf(name))!.push(i)
  })
  const sizes = set.classes.map((_, label) => set.labels.reduce((n, l) => n + (l === label ? 1 : 0), 0))
  const missing = sizes.map((size) => Math.min(most, Math.floor(share * size)))
  for (const group of order) {
    const places = members.get(group) ?? []
    const needed = new Map<number, number>()
    for (const i of places) needed.set(set.labels[i]!, (needed.get(set.labels[i]!) ?? 0) + 1)
    if (![...needed].every(([label, n]) => missing[label]! >= n)) continue
    for (const i of places) heldOut.add(set.names[i]!)
    for (const [label, n] of needed) missing[label]! -= n
  }
  return {
    pool: set.names.filter((name) => !heldOut.has(name)),
    heldOut: set.names.filter((name) => heldOut.has(name)),
  }
}

/** Who took which image, from lines `daisy/1.jpg CC-BY by NAME - https://…` or `daisy/1.jpg CC-BY https://… - by NAME`. */
export const photographers = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text.split("\n").flatMap((line) => {
      const found = /^(\S+) CC-BY (?:by (.*) - https?:\S*|https?:\S* - by (.*))$/.exec(line.trim())
      return found === null ? [] : [[found[1]!, found[2] ?? found[3]!] as const]
    }),
  )

/** Some images of a set, by path and names. */
export const Place = z.strictObject({
  path: z.string(),
  names: z.array(z.string()).readonly(),
  /** SHA-256 over names and contents. */
  sha256: z.string(),
})
export type Place = z.output<typeof Place>

/** The images of a cell. */
export const Places = z.strictObject({
  train: Place,
  choosing: Place,
  reporting: Place,
  /** As many images of the pool as a score uses: a perfect generator would score like them. */
  floor: Place,
})
export type Places = z.output<typeof Places>

export interface Target {
  readonly name: string
  readonly places: Places
  readonly classes: readonly string[]
  /** Number of images that draws are taken from. */
  readonly pool: number
}

const openSet = (path: string): Promise<ImageSet.ImageSet> =>
  Failure.orThrow(Drawn.names(path) ? Drawn.open(path) : ImageSet.open(path))

const pick = (set: ImageSet.ImageSet, names: readonly string[]): ImageSet.ImageSet => {
  const wanted = new Set(names)
  return ImageSet.pick(
    set,
    [...set.names.keys()].filter((i) => wanted.has(set.names[i]!)),
  )
}

/** A folder that holds one zip and otherwise only texts means the zip. */
const located = (path: string): string => {
  if (Drawn.names(path) || !existsSync(path) || !statSync(path).isDirectory()) return path
  const entries = readdirSync(path)
  const zips = entries.filter((name) => name.endsWith(".zip"))
  const others = entries.filter((name) => !/\.(zip|txt|md)$/.test(name))
  return zips.length === 1 && others.length === 0 ? join(path, zips[0]!) : path
}

const parts = (text: string): { readonly path: string; readonly only?: string } => {
  const at = text.lastIndexOf("#")
  return at < 0 ? { path: located(text) } : { path: located(text.slice(0, at)), only: text.slice(at + 1) }
}

const nameOf = (path: string, only: string | undefined): string =>
  only ?? (Drawn.names(path) ? path.split("?")[0]! : basename(path.replace(/\/$/, "")).replace(/\.\w+$/, ""))

/** The set of held-out images if a data set has its own: `test.zip` next to `train.zip`, the held-out drawings. */
const referenceOf = (path: string): string => {
  if (Drawn.names(path)) return `${path}${path.includes("?") ? "&" : "?"}split=held-out`
  const test = join(dirname(path), basename(path).replace(/^train\b/, "test"))
  return basename(test) !== basename(path) && existsSync(test) ? test : path
}

export interface Options {
  /** The seed of the draw. */
  readonly draw: number
  /** Images in total, or of each class; the whole pool if neither is given. */
  readonly images?: number
  readonly perClass?: number
  /** Images of the `floor` place. */
  readonly count?: number
}

const groups = async (path: string): Promise<(name: string) => string> => {
  const licence = join(dirname(path), "LICENSE.txt")
  const authors = photographers(!Drawn.names(path) && existsSync(licence) ? await readFile(licence, "utf8") : "")
  return (name) => authors.get(name) ?? name
}

export const open = async (text: string, { draw, images, perClass, count = 500 }: Options): Promise<Target> => {
  const { path, only } = parts(text)
  const whole = await openSet(path)
  const reference = referenceOf(path)
  const judges = reference === path ? whole : await openSet(reference)
  const narrowed = (set: ImageSet.ImageSet): ImageSet.ImageSet =>
    only === undefined ? set : Subset.ofClasses(set, [only])
  const placeOf = async (from: string, set: ImageSet.ImageSet): Promise<Place> => ({
    path: from,
    names: set.names,
    sha256: await Failure.orThrow(ImageSet.hash(set)),
  })
  try {
    const [set, judge] = [narrowed(whole), narrowed(judges)]
    const groupOf = await groups(path)
    const { pool, heldOut } =
      reference === path ? split(set, groupOf) : { pool: set.names, heldOut: judge.names as readonly string[] }
    const halves = split(pick(judge, heldOut), groupOf, HALF)
    const pooled = pick(set, pool)
    const chosen = Subset.take(pooled, {
      seed: draw,
      ...(images !== undefined && { limit: images }),
      ...(perClass !== undefined && { perClass }),
    })
    return {
      name: nameOf(path, only),
      classes: set.classes,
      pool: pool.length,
      places: {
        train: await placeOf(path, chosen),
        choosing: await placeOf(reference, pick(judge, halves.pool)),
        reporting: await placeOf(reference, pick(judge, halves.heldOut)),
        floor: await placeOf(path, Subset.take(pooled, { limit: count, seed: 0 })),
      },
    }
  } finally {
    await whole.close()
    if (judges !== whole) await judges.close()
  }
}

/** Opens the images of a place for `body`. */
export const withImages = async <A>(
  { path, names }: Pick<Place, "path" | "names">,
  body: (set: ImageSet.ImageSet) => Promise<A>,
): Promise<A> => {
  const set = await openSet(path)
  try {
    return await body(pick(set, names))
  } finally {
    await set.close()
  }
}

/** SHA-256 over the lines of a list of names. */
const listed = (names: readonly string[]): string =>
  createHash("sha256")
    .update(names.map((name) => `${name}\n`).join(""))
    .digest("hex")

const side = ({ names, sha256 }: Place): object => ({ images: names.length, sha256, listSha256: listed(names) })

/** A target's split: the held-out images by name, and a hash of each half. */
export const describe = ({ name, pool, places: { choosing, reporting } }: Target): object => ({
  target: name,
  pool,
  choosing: { ...side(choosing), names: choosing.names },
  reporting: { ...side(reporting), names: reporting.names },
})

/** The training images of one draw by name, and the hashes of both halves of the held-out images. */
export const describeDraw = (draw: number, { name, places: { train, choosing, reporting } }: Target): object => ({
  target: name,
  draw,
  train: { ...side(train), names: train.names },
  choosing: side(choosing),
  reporting: side(reporting),
})
