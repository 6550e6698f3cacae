/** Decoding many images in parallel; broken ones are skipped and counted. */
import { Failure } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import type * as Image from "./Image.ts"
import type * as ImageSet from "./ImageSet.ts"

/** Share of broken images from which a set is refused; a single broken one never is. */
export const TOLERATED = 0.05

/** Images decoded at a time: libuv's thread pool has four threads. */
const PARALLEL = 4

export interface Broken {
  readonly name: string
  readonly failure: Failure.Failure
}

export interface Item {
  /** Place in the set. */
  readonly place: number
  readonly image: Image.Rgb
}

export interface Options {
  readonly onProgress?: (done: number, total: number) => void
}

/**
 * Hands every readable image to `visit`, in order of place, and answers the broken ones. More than 5 % broken, or none
 * readable, is a failure that names the first.
 */
export const forEach = (
  set: ImageSet.ImageSet,
  visit: (item: Item) => void | Promise<void>,
  { onProgress }: Options = {},
): TE.TaskEither<Failure.Failure, readonly Broken[]> =>
  TE.tryCatch(async () => {
    const total = set.names.length
    const broken: Broken[] = []
    const ahead: Promise<E.Either<Failure.Failure, Image.Rgb>>[] = []
    for (let place = 0; place < total; place++) {
      for (let next = place + ahead.length; next < total && ahead.length < PARALLEL; next++)
        ahead.push(set.decode(next)())
      const decoded = await ahead.shift()!
      if (E.isRight(decoded)) await visit({ place, image: decoded.right })
      else {
        broken.push({ name: set.names[place]!, failure: decoded.left })
        refuseIfMany(broken, total, set.path)
      }
      onProgress?.(place + 1, total)
    }
    return broken
  }, Failure.fromThrown)

const refuseIfMany = (broken: readonly Broken[], total: number, file: string): void => {
  const first = broken[0]!
  if (broken.length === total || (broken.length > 1 && broken.length > TOLERATED * total))
    Failure.raise(
      "BrokenImages",
      `${broken.length} of ${total} images cannot be decoded; the first: ${first.failure.message}`,
      { file, path: first.name },
    )
}
