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
 * Calls `visit` with every readable image, in order, and returns the broken ones. Fails if more than 5 % are broken or none is
 * readable, counts them all and names them; once that is certain, the other images are only checked.
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
      if (E.isLeft(decoded)) broken.push({ name: set.names[place]!, failure: decoded.left })
      else if (!isRefused(broken.length, total)) await visit({ place, image: decoded.right })
      onProgress?.(place + 1, total)
    }
    if (isRefused(broken.length, total))
      Failure.raise("BrokenImages", `${broken.length} of ${total} images cannot be decoded: ${reasons(broken)}`, {
        file: set.path,
        path: broken[0]!.name,
      })
    return broken
  })

/** Whether a set is refused of which so many images are broken. */
export const isRefused = (broken: number, total: number): boolean =>
  broken === total || (broken > 1 && broken > TOLERATED * total)

/** Names in a message; a folder of thousands must not fill the screen. */
const NAMED = 50

/** `the file is empty (a.png, b.png); the file is damaged or cut off (c.jpg)`: each broken image, by reason. */
export const reasons = (broken: readonly Broken[]): string => {
  const byReason = new Map<string, string[]>()
  for (const { name, failure } of broken.slice(0, NAMED))
    byReason.set(failure.message, [...(byReason.get(failure.message) ?? []), name])
  const texts = [...byReason].map(([message, names]) => `${message} (${names.join(", ")})`)
  return [...texts, ...(broken.length > NAMED ? [`and ${broken.length - NAMED} more`] : [])].join("; ")
}
