/** A training state in host memory: its initial value, its tensors in each phase, and the shapes for the engine. */
import { Failure, Flat, Layout, NdArray } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Step from "./Step.ts"

type Float32 = NdArray.NdArray<"float32">
export type Params = Flat.Flat<Float32>

/** Both networks' parameters, in the file's layout. */
export interface Networks {
  readonly generator: Params
  readonly discriminator: Params
}

const letter = { generator: "g", discriminator: "d" } as const

/** Throws unless every network has exactly its parameters, and every trained path is a parameter and occurs once. */
const check = (setup: Step.Setup, networks: Networks): void => {
  for (const net of Step.nets) {
    const leaves = Step.leaves(setup, net)
    for (const [path, { shape }] of Object.entries(leaves)) {
      const found = networks[net][path]?.shape
      if (found?.join() !== shape.join())
        Failure.raise(
          "WrongParameters",
          `expected shape [${shape.join(", ")}], got ${found ? `[${found}]` : "nothing"}`,
          { path: `${net}/${path}` },
        )
    }
    for (const path of Object.keys(networks[net]))
      if (leaves[path] === undefined)
        Failure.raise("WrongParameters", "the architecture has no such parameter", { path: `${net}/${path}` })
    const trained = Step.paths(setup.trainable[net])
    for (const path of trained)
      if (leaves[path]?.role !== "parameter")
        throw new Error(
          `${net}/${path} cannot be trained: the architecture has no such parameter, or it is a statistic`,
        )
    const twice = trained.find((path, i) => trained.indexOf(path) !== i)
    if (twice !== undefined) throw new Error(`${net}/${twice} is in two trainable groups`)
  }
}

/** Zero moments for the groups whose training starts at `step`. */
const freshMoments = (setup: Step.Setup, step: number): Engine.Arrays =>
  Flat.merge(
    ...Step.nets.flatMap((net) =>
      setup.trainable[net]
        .filter(({ from }) => from === step)
        .flatMap(({ paths }) => {
          const leaves = Step.leaves(setup, net)
          const zeros = Flat.fromEntries(
            paths.map((path) => [path, NdArray.zeros("float32", Layout.computeShape(leaves[path]!.shape))] as const),
          )
          const names = Step.keepsFirstMoment(setup, net) ? ["m", "v"] : ["v"]
          return names.map((name) => Flat.prefix(zeros, `${letter[net]}_adam_${name}`))
        }),
    ),
  )

/** The state before step 0, in compute layout. The moving average starts as a copy of the parameters. */
export const initial = (setup: Step.Setup, networks: Networks): Engine.Arrays => {
  check(setup, networks)
  const [g, d] = [networks.generator, networks.discriminator].map((params) => Flat.map(params, Layout.toCompute)) as [
    Params,
    Params,
  ]
  const average = Flat.fromEntries(Step.averaged(setup).map((path) => [path, g[path]!] as const))
  return Flat.merge<Engine.Arrays[string]>(
    Flat.prefix(g, "generator"),
    Flat.prefix(d, "discriminator"),
    Flat.prefix(average, "generator_ema"),
    setup.extras?.constants ?? {},
    setup.extras?.moving ?? {},
    freshMoments(setup, 0),
  )
}

/** Adds what the phase that starts at `step` needs: zero moments for the groups whose training starts now. */
export const enter = (setup: Step.Setup, state: Engine.Arrays, step: number): Engine.Arrays =>
  step === 0 ? state : Flat.merge(state, freshMoments(setup, step))

/** The averaged generator: moving averages of the parameters that move, and the frozen parameters. File layout. */
export const averagedGenerator = (state: Engine.Arrays): Params =>
  Flat.map(Flat.merge(Flat.under(state, "generator"), Flat.under(state, "generator_ema")), (array) =>
    Layout.toFile(array as Float32),
  )

/** One network's parameters, without averaging. File layout. */
export const network = (state: Engine.Arrays, net: Step.Net): Params =>
  Flat.map(Flat.under(state, net), (array) => Layout.toFile(array as Float32))

/** Converts the whole state from compute to file layout, for checkpoints. */
export const toFile = (state: Engine.Arrays): Engine.Arrays =>
  Flat.map(state, (array) => (array.dtype === "float32" ? Layout.toFile(array as Float32) : array))
/** The inverse of `toFile`. */
export const toCompute = (state: Engine.Arrays): Engine.Arrays =>
  Flat.map(state, (array) => (array.dtype === "float32" ? Layout.toCompute(array as Float32) : array))

const specOf = ({ shape, dtype }: Engine.Arrays[string]): Engine.Spec => ({ shape, dtype })

export const specs = (state: Engine.Arrays, batch: Engine.Arrays): Engine.Specs => ({
  state: Flat.map(state, specOf),
  batch: Flat.map(batch, specOf),
})
