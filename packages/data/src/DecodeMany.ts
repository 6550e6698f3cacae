/** Decodes many images in parallel. Broken images are skipped and counted. */
import { Failure } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import type * as TE from "fp-ts/lib/TaskEither.js"
import type * as Image from "./Image.ts"
import type * as ImageSet from "./ImageSet.ts"

/** A set is refused if a larger share of its images is broken. A single broken image is tolerated. */
export const TOLERATED = 0.05

/** Images decoded at the same time: libuv's thread pool has four threads. */
const PARALLEL = 4

export interface Broken {
  readonly name: string
  readonly failure: Failure.Failure
}

export interface Item<A = Image.Rgb> {
  /** Index in the set. */
  readonly place: number
  readonly image: A
}

export interface Options {
  readonly onProgress?: (done: number, total: number) => void
}

/**
 * Calls `visit` with every readable image, in order, and returns the broken ones. Fails and names the first broken image if more
 * than 5 % are broken or none is readable.
 * @param options `alpha` keeps transparency, `[H, W, 4]`
 */
export const forEach = (
  set: ImageSet.ImageSet,
  visit: (item: Item) => void | Promise<void>,
  { alpha = false, ...options }: Options & { readonly alpha?: boolean } = {},
): TE.TaskEither<Failure.Failure, readonly Broken[]> =>
  through(set, (place) => set.decode(place, alpha), PARALLEL, visit, options)

/** The same for the results of `make`, of which `ahead` are computed at the same time. */
export const through = <A>(
  set: Pick<ImageSet.ImageSet, "names" | "path">,
  make: (place: number) => TE.TaskEither<Failure.Failure, A>,
  ahead: number,
  visit: (item: Item<A>) => void | Promise<void>,
  { onProgress }: Options = {},
): TE.TaskEither<Failure.Failure, readonly Broken[]> =>
  Failure.attempt(async () => {
    const total = set.names.length
    const broken: Broken[] = []
    const started: Promise<E.Either<Failure.Failure, A>>[] = []
    for (let place = 0; place < total; place++) {
      for (let next = place + started.length; next < total && started.length < ahead; next++) started.push(make(next)())
      const decoded = await started.shift()!
      if (E.isRight(decoded)) await visit({ place, image: decoded.right })
      else {
        broken.push({ name: set.names[place]!, failure: decoded.left })
        refuseIfMany(broken, total, set.path)
      }
      onProgress?.(place + 1, total)
    }
    return broken
  })

const refuseIfMany = (broken: readonly Broken[], total: number, file: string): void => {
  const first = broken[0]!
  if (broken.length === total || (broken.length > 1 && broken.length > TOLERATED * total))
    Failure.raise(
      "BrokenImages",
      `${broken.length} of ${total} images cannot be decoded; the first is ${first.name}: ${first.failure.message}`,
      { file, path: first.name },
    )
}
