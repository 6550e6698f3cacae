/** The images of a job: a folder, zip, tensor file or drawn set, narrowed to what was asked for. */
import { isAbsolute, relative, sep } from "node:path"
import { Failure } from "@adafm/core"
import { Drawn, ImageSet, Subset } from "@adafm/data"
import type * as TE from "fp-ts/lib/TaskEither.js"
import type { z } from "zod"
import type * as RunConfig from "./RunConfig.ts"

export interface Options {
  readonly limit?: number
  readonly limitPerClass?: number
  /** Only these classes, numbered in this order. */
  readonly classes?: readonly string[]
  /** Only these images: a draw that is written down. */
  readonly names?: readonly string[]
  readonly seed: number
}

const named = (set: ImageSet.ImageSet, names: readonly string[]): ImageSet.ImageSet => {
  const places = new Map(set.names.map((name, i) => [name, i]))
  const place = (name: string): number =>
    places.get(name) ?? Failure.raise("NoImage", `there is no image ${name}`, { file: set.path, path: name })
  return ImageSet.pick(set, names.map(place))
}

/** What a path names, files or drawn pictures. Close it when done. */
export const open = (path: string): TE.TaskEither<Failure.Failure, ImageSet.ImageSet> =>
  Drawn.names(path) ? Drawn.open(path) : ImageSet.open(path)

/** Opens the set, hands it to `use`, closes it. */
export const use = async <A>(
  path: string,
  options: Options,
  body: (set: ImageSet.ImageSet) => Promise<A>,
): Promise<A> => {
  const whole = await Failure.orThrow(open(path))
  try {
    const { classes, limit, limitPerClass, names, seed } = options
    const listed = names === undefined ? whole : named(whole, names)
    const chosen = classes === undefined ? listed : Subset.ofClasses(listed, classes)
    return await body(
      Subset.take(chosen, {
        seed,
        ...(limit !== undefined && { limit }),
        ...(limitPerClass !== undefined && { perClass: limitPerClass }),
      }),
    )
  } finally {
    await whole.close()
  }
}

const isInside = (path: string, folder: string): boolean => {
  const way = relative(folder, path)
  return way.split(sep)[0] !== ".." && !isAbsolute(way)
}

/** A run among its own images would learn from its own sample grids when it goes on; images in a run's folder would be moved aside with it. */
export const keepApart = (given: { readonly data: string; readonly out: string; readonly restart?: boolean }): void => {
  const { data, out, restart = false } = given
  if (Drawn.names(data)) return
  if (isInside(out, data))
    Failure.raise(
      "RunAmongImages",
      `a run writes pictures, which would count as images of ${data} when it goes on: give a folder outside of it as --out`,
      { file: out },
    )
  if (restart && isInside(data, out))
    Failure.raise(
      "ImagesInRun",
      `--new moves this folder aside, and the images of ${data} with it: give another folder as --out`,
      { file: out },
    )
}

/** Labels of the model: one for each class where these condition it. */
export const labelsOf = ({ path, classes }: ImageSet.ImageSet, conditional = false): number => {
  if (!conditional) return 1
  if (classes.length > 1) return classes.length
  return Failure.raise(
    "NoClasses",
    "a conditional model needs two classes at least: put the images into a sub-folder each",
    {
      file: path,
    },
  )
}

/** How the run folder names the images. */
export const describe = async (
  set: ImageSet.ImageSet,
  { limit, limitPerClass, names }: Options,
): Promise<z.output<typeof RunConfig.Data>> => ({
  path: set.path,
  sha256: await Failure.orThrow(ImageSet.hash(set)),
  images: set.names.length,
  classes: set.classes,
  ...((limit ?? limitPerClass ?? names) !== undefined && { names: set.names }),
})
