/**
 * Images → training batches. The batch of a step is a pure function of (seed, step): shuffling, flips and dither are drawn from
 * keys, so a resumed run needs no state. The transform is the paper's (`gan_training/inputs.py`): resize of the shorter side, centre
 * crop, horizontal flip with probability ½, scaling to [-1, 1], U[0, 1/128) added to every element.
 */
import { Failure, Host, NdArray, Rng } from "@adafm/core"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Channels from "./Channels.ts"
import * as DecodeMany from "./DecodeMany.ts"
import type * as Image from "./Image.ts"
import type * as ImageSet from "./ImageSet.ts"
import * as Resize from "./Resize.ts"

export interface Options {
  /** Height and width in pixels. */
  readonly size: number
  /** 1 grey (Pillow's `L`), 3 RGB (default), 4 RGBA. */
  readonly channels?: Channels.Count
  /** Images in a batch. */
  readonly batch: number
  readonly seed?: number
  /** Mirrors half of the images. */
  readonly flip?: boolean
  /** Adds U[0, 1/128), which smooths the steps of 8-bit values. */
  readonly dither?: boolean
  /** Limit of the pixels kept in memory, in bytes. Images of a larger set are decoded again for every batch. */
  readonly cacheBytes?: number
  readonly onProgress?: (done: number, total: number) => void
}

/** In compute layout. A type rather than an interface, so that it is assignable to the path-keyed arrays of an engine. */
export type Batch = {
  /** `[B, H, W, C]`, in [-1, 1] plus the dither. */
  readonly x: NdArray.NdArray<"float32">
  /** `[B]`, indices into `classes`. */
  readonly y: NdArray.NdArray<"int32">
}

export interface Pipeline {
  /** Number of readable images. */
  readonly count: number
  readonly names: readonly string[]
  readonly classes: readonly string[]
  readonly broken: readonly DecodeMany.Broken[]
  /** The batch of a step, counted from 0. The next batch is prepared in the meantime. */
  readonly batch: (step: number) => Promise<Batch>
  /** The image at an index, resized and cropped, without flip and dither. `[H, W, C]` */
  readonly image: (place: number) => Promise<Image.Rgb>
}

const CACHE = 1 << 30 // bytes
const DITHER = 1 / 128

/**
 * Indices of the images of a step. Every epoch is a permutation; images that do not fill a batch at its end are dropped. A set
 * smaller than one batch is repeated, each time in a new permutation.
 */
export const order = (count: number, batch: number, seed: number): ((step: number) => Int32Array) => {
  let known: { readonly epoch: number; readonly places: Int32Array } | undefined
  const permutation = (epoch: number): Int32Array => {
    if (known?.epoch !== epoch) known = { epoch, places: Rng.permutation(Rng.at(seed, "data/shuffle", epoch), count) }
    return known.places
  }
  const perEpoch = Math.floor(count / batch)
  return (step) => {
    if (perEpoch > 0) {
      const from = (step % perEpoch) * batch
      return permutation(Math.floor(step / perEpoch)).slice(from, from + batch)
    }
    return Int32Array.from({ length: batch }, (_, i) => {
      const at = step * batch + i
      return permutation(Math.floor(at / count))[at % count]!
    })
  }
}

/** Adds U[0, 1/128) from 16 random bits for every element. */
const addDither = (x: Float32Array, key: Rng.Key): void => {
  const words = Rng.bits(key, Math.ceil(x.length / 2))
  for (let i = 0; i < x.length; i++) x[i]! += (DITHER / 65536) * ((words[i >> 1]! >>> ((i & 1) * 16)) & 0xffff)
}

/** The network's input from 8-bit pictures, `B × [H, W, C] → [B, H, W, C]`. */
const assemble = (
  images: readonly Image.Rgb[],
  { size, channels = 3, seed = 0, flip = true, dither = true }: Options,
  step: number,
): NdArray.NdArray<"float32"> => {
  const x = NdArray.zeros("float32", [images.length, size, size, channels])
  if (dither) addDither(x.data, Rng.at(seed, "data/dither", step))
  const coins = Rng.uniform(Rng.at(seed, "data/flip", step), [images.length]).data
  images.forEach(({ data }, i) => {
    const mirrored = flip && coins[i]! < 0.5
    for (let row = 0; row < size; row++)
      for (let column = 0; column < size; column++) {
        const from = (row * size + (mirrored ? size - 1 - column : column)) * channels
        const to = ((i * size + row) * size + column) * channels
        for (let k = 0; k < channels; k++) x.data[to + k]! += data[from + k]! / 127.5 - 1
      }
  })
  return x
}

/** Decodes all images once, to find the broken ones, and keeps the resized pixels if they fit in memory. */
export const open = (set: ImageSet.ImageSet, options: Options): TE.TaskEither<Failure.Failure, Pipeline> => {
  const { size, channels = 3, batch, seed = 0, cacheBytes = CACHE, onProgress } = options
  const bytes = size * size * channels
  /** Of the channels; in 8 bits, before the resize. */
  const fitted = (image: Image.Rgb): Image.Rgb => Resize.fit(channels === 1 ? Channels.luma(image) : image, size)
  const cached = set.names.length * bytes <= cacheBytes
  const pixels = new Uint8Array(cached ? set.names.length * bytes : 0)
  const places: number[] = []
  return pipe(
    DecodeMany.forEach(
      set,
      ({ place, image }) => {
        if (cached) pixels.set(fitted(image).data, places.length * bytes)
        places.push(place)
      },
      { alpha: channels === 4, ...(onProgress !== undefined && { onProgress }) },
    ),
    TE.map((broken): Pipeline => {
      const image = async (i: number): Promise<Image.Rgb> => {
        if (cached) return NdArray.make("uint8", [size, size, channels], pixels.subarray(i * bytes, (i + 1) * bytes))
        return fitted(await Failure.orThrow(set.decode(places[i]!, channels === 4)))
      }
      const placesOf = order(places.length, batch, seed)
      const prepare = async (step: number): Promise<Batch> => {
        const chosen = [...placesOf(step)]
        return {
          x: assemble(await Promise.all(chosen.map(image)), options, step),
          y: NdArray.int32(
            [batch],
            chosen.map((i) => set.labels[places[i]!]!),
          ),
        }
      }
      let ahead: { readonly step: number; readonly value: Promise<Batch> } | undefined
      return {
        count: places.length,
        names: places.map((place) => set.names[place]!),
        classes: set.classes,
        broken,
        image,
        batch: async (step) => {
          const current = await (ahead?.step === step ? ahead.value : prepare(step))
          const value = Host.breathe().then(() => prepare(step + 1))
          value.catch(() => {}) // reported when that step is asked for
          ahead = { step: step + 1, value }
          return current
        },
      }
    }),
  )
}
