/**
 * Synthetic images: flowers drawn from a seed, for tests and for use without photographs. A picture depends only on (seed, split,
 * species, number), so a larger set contains the smaller one, and the splits share no random draw.
 *
 * As a path: `drawn:flowers`, `drawn:flowers?count=100&size=64&seed=3&split=held-out&species=daisy,tulip`.
 */
import { Failure } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { z } from "zod"
import * as Heads from "./drawn/Heads.ts"
import * as Scene from "./drawn/Scene.ts"
import * as ImageSet from "./ImageSet.ts"
import * as StoredImage from "./StoredImage.ts"

export const Options = z.strictObject({
  /** Number of pictures, divided equally among the species. */
  count: z.coerce.number().int().min(1).max(100_000).default(1000),
  /** Width and height in pixels. */
  size: z.coerce.number().int().min(8).max(1024).default(64),
  seed: z.coerce.number().int().min(0).default(0),
  split: z.enum(["train", "held-out"]).default("train"),
  /** Classes of the set. */
  species: z
    .union([z.string().transform((names) => names.split(",")), z.array(z.string())])
    .pipe(z.array(z.enum(Heads.SPECIES)).min(1))
    .default([...Heads.SPECIES]),
})
export type Options = z.input<typeof Options>

const PREFIX = "drawn:"

/** Whether a path names drawn pictures. */
export const names = (path: string): boolean => path.startsWith(PREFIX)

/** The path that opens an equal set. */
const pathOf = (options: z.output<typeof Options>): string =>
  `${PREFIX}flowers?${new URLSearchParams(Object.entries(options).map(([key, value]) => [key, String(value)] as [string, string]))}`

export const flowers = (options: Options = {}): ImageSet.ImageSet => {
  const resolved = Options.parse(options)
  const { count, size, seed, split } = resolved
  const species = [...new Set(resolved.species)].sort()
  const digits = Math.max(5, String(count - 1).length)
  const share = (k: number): number => Math.ceil((count - k) / species.length)
  const items = species.flatMap((kind, label) => Array.from({ length: share(label) }, (_, n) => ({ kind, label, n })))
  const drawing = (i: number): string => {
    const { kind, n } = items[i]!
    return Scene.svg(kind, size, seed, `flowers/${split}`, n)
  }
  const path = pathOf(resolved)
  const names = items.map(({ kind, n }) => `${kind}/${split}-${String(n).padStart(digits, "0")}.svg`)
  const sizeOf: ImageSet.ImageSet["size"] = () => TE.of(0)
  const read: ImageSet.ImageSet["read"] = (i) => TE.of(new TextEncoder().encode(drawing(i)))
  return {
    path,
    names,
    labels: Int32Array.from(items, ({ label }) => label),
    classes: species,
    lossy: false,
    form: StoredImage.DRAWING,
    size: sizeOf,
    read,
    ...ImageSet.looking({ path, names, form: StoredImage.DRAWING, size: sizeOf, read }),
    close: async () => undefined,
  }
}

/** Opens the set that a `drawn:` path names. */
export const open = (path: string): TE.TaskEither<Failure.Failure, ImageSet.ImageSet> => {
  const [name, query = ""] = path.slice(PREFIX.length).split("?", 2)
  if (name !== "flowers") {
    return TE.left(
      Failure.make("NoImages", `there are no drawn pictures called ${name}; the only set is drawn:flowers`),
    )
  }
  const given = Object.fromEntries(new URLSearchParams(query))
  const options = Options.safeParse(given)
  return pipe(
    options.success
      ? E.right(flowers(options.data))
      : E.left(Failure.make("BadImageSet", Failure.ofIssues(options.error.issues, given), { file: path })),
    TE.fromEither,
  )
}
