/**
 * Batch-norm statistics of the averaged generator. Its weights are moving averages, whose features differ from those that the trained
 * weights compute, so the trained generator's running statistics do not fit: images lose contrast. They are measured instead, by
 * passes of the averaged generator over latents of their own.
 */
import { BatchNorm, Flat } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Latents from "../Latents.ts"
import * as State from "./State.ts"
import type * as Step from "./Step.ts"

export interface Measurement {
  /** The state with the statistics of the averaged generator measured. Compute layout. */
  readonly of: (state: Engine.Arrays) => Promise<Engine.Arrays>
  readonly dispose: () => Promise<void>
}

/** With batch norm's momentum of 0.1, 1 % of the first statistics is left after so many passes. */
const PASSES = 44

/** A pass: the state are parameters and statistics, and the statistics move. */
const pass =
  ({ gan, modulation }: Step.Setup): Engine.Step =>
  (state, batch) => {
    const params = modulation?.generator?.resolve(state) ?? state
    return { state: gan.generateTraining(params, Latents.inputs(gan, batch)).statistics, stats: {} }
  }

/** @param seed of the latents, which are the same in every measurement */
export const open = (setup: Step.Setup, engine: Engine.Engine, seed: number): Measurement => {
  const { gan, batchSize } = setup
  const statistics = Object.keys(gan.generator).filter(BatchNorm.isRunning)
  if (statistics.length === 0) return { of: async (state) => state, dispose: async () => {} }
  const batches = Array.from({ length: PASSES }, (_, k) =>
    Flat.merge<Engine.Arrays[string]>(
      Latents.draw(gan, seed, "statistics", k, batchSize),
      Latents.labels(gan, seed, "statistics", k, batchSize),
    ),
  )
  let program: Engine.Program | undefined
  return {
    of: async (state) => {
      const averaged = Flat.merge(Flat.under(state, "generator"), Flat.under(state, "generator_ema"))
      program ??= await engine.compile(pass(setup), State.specs(averaged, batches[0]!))
      program.write(averaged)
      for (const batch of batches) await program.run(batch)
      return Flat.merge(state, Flat.prefix(await program.read(statistics), "generator_ema"))
    },
    dispose: async () => {
      await program?.dispose()
      program = undefined
    },
  }
}
