/**
 * Truncation: less variety for more typical pictures. Latents are moved towards their mean, which is 0 for both distributions, and the
 * styles of a small head towards theirs, which is measured (StyleGAN's truncation in w).
 */
import { Failure, Flat, Layout, NdArray } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { Gan, SmallHead } from "@adafm/gan"
import type { Model } from "../Model.ts"
import * as Sampler from "../Sampler.ts"
import type * as SampleSheet from "./SampleSheet.ts"

/** Latents whose styles are averaged. */
const MEASURED = 2048

/** Mean style of a small head over latents and classes, `[style_dim]`. */
const meanStyle = async (
  { gan, generator }: Model,
  config: SmallHead.Config,
  engine: Engine.Engine,
  seed: number,
): Promise<Float32Array> => {
  const { z, y } = Sampler.inputs(gan, seed, [...Array(MEASURED).keys()], "truncation")
  const batch: Engine.Arrays = { z: z!, ...(y !== undefined && { y }) }
  const state = Flat.map(generator, Layout.toCompute)
  const spec = ({ shape, dtype }: Engine.Arrays[string]): Engine.Spec => ({ shape, dtype })
  const program = await engine.compile(
    (params, given) => ({
      stats: { w: SmallHead.mapping(config, params, { z: given.z!, ...(given.y && { y: given.y }) }) },
    }),
    { state: Flat.map(state, spec), batch: Flat.map(batch, spec) },
  )
  try {
    program.write(state)
    const w = (await program.run(batch)).w!
    const dim = w.shape[1]!
    const sum = new Float64Array(dim)
    w.data.forEach((value, i) => {
      sum[i % dim]! += value / MEASURED
    })
    return Float32Array.from(sum)
  } finally {
    await program.dispose()
  }
}

const scaled = (array: Engine.Arrays[string], psi: number): Engine.Arrays[string] =>
  NdArray.float32(
    array.shape,
    Float32Array.from(array.data, (value) => psi * value),
  )

/** The sheet with its latents truncated. @param psi 1 changes nothing, 0 gives the mean everywhere */
export const apply = async (
  sheet: SampleSheet.Sheet,
  model: Model,
  psi: number,
  engine: Engine.Engine,
  seed: number,
): Promise<SampleSheet.Sheet> => {
  if (!(psi >= 0)) Failure.raise("BadArguments", `--trunc ${psi}: expected a number, 0 or more`)
  const { inputs } = sheet
  const moved = Flat.map(inputs, (array, name) => (name === "z" || name === "mix/z" ? scaled(array, psi) : array))
  const config = Gan.plain(model.gan.config)
  if (config.architecture !== "gpgan-small-head") return { ...sheet, inputs: moved }
  const [mean, count] = [await meanStyle(model, config, engine, seed), sheet.names.length]
  const means = NdArray.zeros("float32", [count, mean.length])
  for (let i = 0; i < count; i++) means.data.set(mean, i * mean.length)
  return { ...sheet, inputs: Flat.merge<Engine.Arrays[string]>(moved, { "truncation/mean": means }) }
}
