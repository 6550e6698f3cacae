/** The images of a job: a folder, zip, tensor file or drawn set, narrowed by class, name or number. */
import { Failure, Path } from "@adafm/core"
import { Drawn, ImageSet, Subset } from "@adafm/data"
import type * as TE from "fp-ts/lib/TaskEither.js"
import type { z } from "zod"
import type * as RunConfig from "./RunConfig.ts"

export interface Options {
  readonly limit?: number
  readonly limitPerClass?: number
  /** Only these classes, numbered in this order. */
  readonly classes?: readonly string[]
  /** Only these images, for example those of a recorded draw. */
  readonly names?: readonly string[]
  readonly seed: number
}

const named = (set: ImageSet.ImageSet, names: readonly string[]): ImageSet.ImageSet => {
  const places = new Map(set.names.map((name, i) => [name, i]))
  const place = (name: string): number =>
    places.get(name) ?? Failure.raise("NoImage", `there is no image ${name} here`, { file: set.path, path: name })
  return ImageSet.pick(set, names.map(place))
}

/** Opens a path to images, or a drawn set such as `drawn:flowers`. The caller closes it. */
export const open = (path: string): TE.TaskEither<Failure.Failure, ImageSet.ImageSet> =>
  Drawn.names(path) ? Drawn.open(path) : ImageSet.open(path)

/** Opens the images, passes the selected ones to `body`, closes the set. */
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
    if (chosen.names.length === 0 && classes !== undefined)
      Failure.raise("NoImages", `none of the ${listed.names.length} images is of the classes ${classes.join(", ")}`, {
        file: path,
      })
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
  const way = Path.relative(folder, path)
  return way.split(Path.sep)[0] !== ".." && !Path.isAbsolute(way)
}

/** Refuses a run inside its image folder, which would learn from its own sample grids when resumed, and images that `--new` would move aside. */
export const keepApart = (given: { readonly data: string; readonly out: string; readonly restart?: boolean }): void => {
  const { data, out, restart = false } = given
  if (Drawn.names(data)) return
  if (isInside(out, data))
    Failure.raise(
      "RunAmongImages",
      `a run writes sample pictures, which would count as images of ${data} when it is resumed: choose an --out outside of it`,
      { file: out },
    )
  if (restart && isInside(data, out))
    Failure.raise(
      "ImagesInRun",
      `--new moves this folder aside, and the images of ${data} with it: choose another --out`,
      { file: out },
    )
}

/** The number of the model's labels: one for each class if it is conditional, otherwise 1. */
export const labelsOf = ({ path, classes }: ImageSet.ImageSet, conditional = false): number => {
  if (!conditional) return 1
  if (classes.length > 1) return classes.length
  return Failure.raise(
    "NoClasses",
    `--conditional needs 2 or more classes, found ${classes.length}: put the images of each class into its own sub-folder`,
    { file: path },
  )
}

/** What a run's `config.json` records of the images. @param readable how many of them can be decoded */
export const describe = async (
  set: ImageSet.ImageSet,
  { limit, limitPerClass, names }: Options,
  readable: number,
  onProgress?: (done: number, total: number) => void,
): Promise<z.output<typeof RunConfig.Data>> => ({
  path: set.path,
  sha256: await Failure.orThrow(ImageSet.hash(set, onProgress)),
  images: readable,
  classes: set.classes,
  ...((limit ?? limitPerClass ?? names) !== undefined && { names: set.names }),
})
