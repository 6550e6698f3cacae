/** Walks between samples: interpolated latents, a row for each pair. */
import { Failure, Flat, NdArray } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import type { Gan } from "@adafm/gan"
import * as SampleSheet from "./SampleSheet.ts"

/**
 * Spherical interpolation from a (t = 0) to b (t = 1): `sin((1-t)ω)/sin ω · a + sin(tω)/sin ω · b`, ω the angle between them
 * (Shoemake 1985; the authors' `interpolate_sphere`).
 */
export const spherical = (a: Float32Array, b: Float32Array, t: number): Float32Array => {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, v, i) => sum + v * y[i]!, 0)
  const angle = Math.acos(Math.min(1, Math.max(-1, dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)))))
  const [p, q] =
    angle < 1e-4 ? [1 - t, t] : [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)]
  return a.map((x, i) => p * x + q * b[i]!)
}

const straight = (a: Float32Array, b: Float32Array, t: number): Float32Array => a.map((x, i) => (1 - t) * x + t * b[i]!)

const betweenOf = ({ latent }: Gan.Gan): typeof spherical => (latent.distribution === "normal" ? spherical : straight)

const requireWalk = ({ numbers }: SampleSheet.Wanted, frames: number): void => {
  if (numbers.length < 2)
    Failure.raise("TooFew", `--interpolate needs 2 or more samples, found ${numbers.length}: see --seeds, --count`)
  if (frames < 2) Failure.raise("TooFew", `--interpolate ${frames}: expected 2 or more pictures`)
}

/** A walk that ends where it begins: `frames` pictures from each sample up to the next, all with the first one's noise and class. */
export const loop = (gan: Gan.Gan, wanted: SampleSheet.Wanted, frames: number): SampleSheet.Sheet => {
  requireWalk(wanted, frames)
  const between = betweenOf(gan)
  const all = SampleSheet.samples(gan, wanted)
  const [z, dim, count] = [all.z!.data as Float32Array, gan.latent.dim, wanted.numbers.length]
  const at = (row: number): Float32Array => z.subarray((row % count) * dim, ((row % count) + 1) * dim)
  const walked = NdArray.zeros("float32", [count * frames, dim])
  for (let i = 0; i < count * frames; i++) {
    const row = Math.trunc(i / frames)
    walked.data.set(between(at(row), at(row + 1), (i % frames) / frames), i * dim)
  }
  const inputs = SampleSheet.picked(all, Array<number>(count * frames).fill(0))
  return {
    inputs: Flat.merge<Engine.Arrays[string]>(inputs, { z: walked }),
    names: Array.from({ length: count * frames }, (_, i) => `frame-${String(i).padStart(5, "0")}`),
  }
}

/** One row for each pair of consecutive samples: `frames` pictures from the first to the second, both included, with the first's noise and class. */
export const sheet = (gan: Gan.Gan, wanted: SampleSheet.Wanted, frames: number): SampleSheet.Sheet => {
  const { numbers } = wanted
  requireWalk(wanted, frames)
  const between = betweenOf(gan)
  const all = SampleSheet.samples(gan, wanted)
  const [z, dim] = [all.z!.data as Float32Array, gan.latent.dim]
  const rows = numbers.slice(1).map((_, i) => i)
  const inputs = SampleSheet.picked(
    all,
    rows.flatMap((row) => Array.from({ length: frames }, () => row)),
  )
  const at = (row: number): Float32Array => z.subarray(row * dim, (row + 1) * dim)
  const steps = rows.flatMap((row) =>
    Array.from({ length: frames }, (_, i) => between(at(row), at(row + 1), i / (frames - 1))),
  )
  const walked = NdArray.zeros("float32", [steps.length, dim])
  steps.forEach((values, i) => void walked.data.set(values, i * dim))
  return {
    inputs: Flat.merge<Engine.Arrays[string]>(inputs, { z: walked }),
    names: rows.flatMap((row) =>
      Array.from(
        { length: frames },
        (_, i) =>
          `${SampleSheet.nameOf(numbers[row]!)}-${SampleSheet.nameOf(numbers[row + 1]!)}-${String(i).padStart(3, "0")}`,
      ),
    ),
    columns: frames,
  }
}
