/** The recorded GP-GANs of the shared fixtures, as state and batch of a step. */
import { Failure, Flat, Layout, NdArray, Safetensors } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { Gan } from "@adafm/gan"
import { Shared } from "@adafm/testkit"

export type Float32 = NdArray.NdArray<"float32">

export interface Recorded {
  readonly file: string
  readonly gan: Gan.Gan
  readonly penaltyWeight: number
  readonly at: (name: string) => Float32
  readonly under: (prefix: string) => Flat.Flat<Float32>
  readonly tensors: Flat.Flat<NdArray.NdArray>
}

export const read = async (relative: string): Promise<Recorded> => {
  const file = Shared.path(relative)!
  const { tensors, metadata } = await Failure.orThrow(Safetensors.read(file))
  const { resolution, nf, nf_max, z_dim, embed, nlabels, reg_weight } = JSON.parse(metadata.config!)
  const sizes = { resolution, nf, z_dim, embed, nlabels, ...(nf_max !== undefined && { nf_max }) }
  return {
    file,
    tensors,
    gan: Gan.of(Gan.Config.parse({ architecture: "gpgan", ...sizes })),
    penaltyWeight: reg_weight,
    at: (name) => NdArray.toFloat32(tensors[name]!),
    under: (prefix) => Flat.map(Flat.under(tensors, prefix), NdArray.toFloat32),
  }
}

/** Both networks as a state in compute layout. */
export const state = ({ under }: Recorded): Engine.Arrays =>
  Flat.map(
    Flat.merge(Flat.prefix(under("generator"), "generator"), Flat.prefix(under("discriminator"), "discriminator")),
    Layout.toCompute,
  )

/** `x`, `y`, `z` in compute layout. */
export const batch = ({ at }: Recorded): Engine.Arrays => {
  const y = at("in/y")
  return {
    x: Layout.imagesToCompute(at("in/x")),
    y: NdArray.int32(y.shape, Int32Array.from(y.data)),
    z: at("in/z"),
  }
}

/** Runs a step once. */
export const once = async (
  engine: Engine.Engine,
  step: Engine.Step,
  state: Engine.Arrays,
  batch: Engine.Arrays,
): Promise<Engine.Arrays> => {
  const spec = ({ shape, dtype }: Engine.Arrays[string]): Engine.Spec => ({ shape, dtype })
  const program = await engine.compile(step, { state: Flat.map(state, spec), batch: Flat.map(batch, spec) })
  program.write(state)
  return program.run(batch).finally(program.dispose)
}
