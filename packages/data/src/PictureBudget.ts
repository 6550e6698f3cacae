/**
 * The limits of `Limits` hold for all pictures in work together, however many are decoded at a time: a picture waits until the bytes
 * and then the pixels that it needs are free.
 */
import { Semaphore } from "async-mutex"
import * as Image from "./Image.ts"
import * as Limits from "./Limits.ts"
import type * as StoredImage from "./StoredImage.ts"

/** The library counts in small whole numbers. */
const UNIT = 1 << 20

const units = (n: number): number => Math.max(1, Math.ceil(n / UNIT))

const bytes = new Semaphore(units(Limits.BYTES))
const pixels = new Semaphore(units(Limits.PIXELS))

/** A share larger than the whole is the whole: such a picture is refused when it is read. */
const share = async (budget: Semaphore, whole: number, n: number): Promise<() => void> =>
  (await budget.acquire(Math.min(units(n), units(whole))))[1]

export interface Picture {
  readonly form: StoredImage.Form
  /** Bytes of the stored picture; 0 if that is not known before it is read. */
  readonly size: () => Promise<number>
  readonly read: () => Promise<Uint8Array>
}

export interface Admitted {
  readonly bytes: Uint8Array
  /** Gives back the picture's share. It must be called once the picture was used. */
  readonly release: () => void
}

/** Reads a picture as soon as there is room for it, encoded and decoded. */
export const admit = async ({ form, size, read }: Picture): Promise<Admitted> => {
  const releaseBytes = await share(bytes, Limits.BYTES, await size())
  try {
    const stored = await read()
    const decoded = form.kind === "file" ? await Image.pixels(stored) : 0
    const releasePixels = await share(pixels, Limits.PIXELS, decoded)
    return {
      bytes: stored,
      release: () => {
        releasePixels()
        releaseBytes()
      },
    }
  } catch (thrown) {
    releaseBytes()
    throw thrown
  }
}
