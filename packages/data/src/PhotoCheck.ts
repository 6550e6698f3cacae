/** What a set of photographs holds, before anything is learned from it: broken ones, doubles, small ones, and what the crop leaves of each. */
import { Failure } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import type * as TE from "fp-ts/lib/TaskEither.js"
import type * as Image from "./Image.ts"
import * as ImageSet from "./ImageSet.ts"
import * as Resize from "./Resize.ts"

export interface LeftOut {
  readonly file: string
  readonly reason: string
}

export interface PhotoCheck {
  /** Files with a picture's name, those of other formats included. */
  readonly found: number
  /** Pictures that can be decoded. */
  readonly used: number
  readonly leftOut: readonly LeftOut[]
  /** Groups of pictures that look the same: equal files, and copies in another size or quality. */
  readonly doubles: readonly (readonly string[])[]
  /** Pictures with a side below the network's size, which are enlarged and look blurred. */
  readonly small: readonly string[]
  /** Pictures of which the crop leaves less than half. */
  readonly cropped: readonly string[]
  /** How to convert the pictures of other formats, if there are any. */
  readonly advice?: string
  /** The pictures as the network sees them, `[size, size, 3]`. */
  readonly crops: readonly Image.Rgb[]
}

export interface Options {
  /** Height and width of the network's images, pixels. */
  readonly size: number
  /** Most crops that are kept. */
  readonly crops?: number
  readonly onProgress?: (done: number, total: number) => void
}

/** A side of the thumbnails that are compared, pixels. */
const THUMB = 16
/**
 * Mean difference of two thumbnails' values (0 to 255) up to which they show the same picture. A copy of half the size as JPEG of quality
 * 60 differs by 3, the most similar of 30 photographs of roses by 34.
 */
const SAME = 5
/** In larger sets only equal files are found: every pair would have to be compared. */
const COMPARED = 4000

const distance = (a: Uint8Array, b: Uint8Array): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! - b[i]!)
  return sum / a.length
}

interface Seen {
  readonly name: string
  readonly digest: string
  /** Of the first `COMPARED` + 1 pictures: a larger set is not compared by them. */
  readonly thumb?: Uint8Array
}

const groups = (seen: readonly Seen[]): readonly (readonly string[])[] => {
  const found: { readonly first: Seen; readonly names: string[] }[] = []
  const byDigest = new Map<string, { readonly first: Seen; readonly names: string[] }>()
  const compares = seen.length <= COMPARED
  for (const one of seen) {
    const same =
      byDigest.get(one.digest) ??
      (compares ? found.find(({ first }) => distance(first.thumb!, one.thumb!) <= SAME) : undefined)
    if (same !== undefined) same.names.push(one.name)
    else {
      const group = { first: one, names: [one.name] }
      found.push(group)
      byDigest.set(one.digest, group)
    }
  }
  return found.flatMap(({ names }) => (names.length > 1 ? [names] : []))
}

const formatOf = (name: string): string => name.slice(name.lastIndexOf(".") + 1).toUpperCase()

/** Decodes every picture of a set once. */
export const of = (
  set: ImageSet.ImageSet,
  { size, crops: most = 400, onProgress }: Options,
): TE.TaskEither<Failure.Failure, PhotoCheck> =>
  Failure.attempt(async () => {
    const foreign = set.foreign ?? []
    const leftOut: LeftOut[] = foreign.map((file) => ({ file, reason: `${formatOf(file)} is not supported` }))
    const [seen, small, cropped, crops]: [Seen[], string[], string[], Image.Rgb[]] = [[], [], [], []]
    for (const [i, name] of set.names.entries()) {
      const decoded = await set.decode(i)()
      onProgress?.(i + 1, set.names.length)
      if (E.isLeft(decoded)) {
        leftOut.push({ file: name, reason: decoded.left.message })
        continue
      }
      const [height, width] = decoded.right.shape as readonly [number, number]
      if (Math.min(height, width) < size) small.push(name)
      if (Math.max(height, width) > 2 * Math.min(height, width)) cropped.push(name)
      const crop = Resize.fit(decoded.right, size)
      if (crops.length < most) crops.push(crop)
      const digest = await Failure.orThrow(set.digest(i))
      const thumb = seen.length <= COMPARED ? { thumb: Resize.pillow(crop, THUMB, THUMB, "bilinear").data } : {}
      seen.push({ name, digest, ...thumb })
    }
    const advice = ImageSet.advice(set)?.replace(/^[^;]*; /, "")
    return {
      found: set.names.length + foreign.length,
      used: seen.length,
      leftOut,
      doubles: groups(seen),
      small,
      cropped,
      crops,
      ...(advice !== undefined && { advice }),
    }
  })
