/** How long a run will take on this machine, and how much disk: a few steps and pictures are timed and thrown away. */
import { Failure, Rng } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { type State, TrainingLoop } from "@adafm/gan"
import { Extractor, FeatureSet } from "@adafm/metrics"
import * as Model from "./Model.ts"
import type { RunConfig } from "./RunConfig.ts"
import * as Sampler from "./Sampler.ts"
import * as Training from "./Training.ts"
import * as WeightFolders from "./WeightFolders.ts"

export interface Planned extends Pick<Training.Options, "steps" | "every" | "extractor" | "keepBytes"> {
  /** Images on each side of a score; 0 for no scores. */
  readonly scoreCount: number
}

export interface Forecast {
  readonly secondsPerStep: number
  /** Seconds of all scores, the first look at the reference included. */
  readonly scores: number
  /** Seconds of the whole run. */
  readonly seconds: number
  /** Bytes of a checkpoint, how many a run writes, and how many of them it keeps. */
  readonly checkpoints: { readonly bytes: number; readonly written: number; readonly kept: number }
}

/** Steps that are timed; the first one, which may be slower, does not count. */
const STEPS = 4
/** Pictures that are made and looked at. */
const PICTURES = 16

/** Seconds of a step, and bytes of the state that a checkpoint holds. */
const pace = async (
  config: RunConfig,
  networks: State.Networks,
  engine: Engine.Engine,
): Promise<{ readonly seconds: number; readonly bytes: number }> => {
  const setup = await Training.newSetupOf(config, networks, engine)
  const { image, labels } = setup.gan
  const { batch, seed } = config
  const x = Rng.uniform(Rng.at(seed, "forecast/x"), [batch, ...image], -1, 1)
  const y = Rng.int(Rng.at(seed, "forecast/y"), [batch], 0, labels)
  const times: number[] = []
  const { state } = await Failure.orThrow(
    TrainingLoop.run({
      setup,
      engine,
      networks,
      steps: STEPS,
      seed,
      stepsPerCall: 1,
      batches: async () => ({ x, y }),
      onStats: (_, __, seconds) => times.push(seconds),
    }),
  )
  const [, ...warm] = times
  return {
    seconds: warm.toSorted((a, b) => a - b)[Math.floor(warm.length / 2)]!,
    bytes: Object.values(state).reduce((sum, { data }) => sum + data.byteLength, 0),
  }
}

/** Seconds in which a picture is made and looked at by the extractor. */
const look = async (
  config: RunConfig,
  generator: State.Params,
  name: string | undefined,
  engine: Engine.Engine,
): Promise<number> => {
  const search = WeightFolders.search()
  const extractor = await Failure.orThrow(Extractor.open({ name: name ?? Extractor.best(search), ...search }))
  const setup = Training.setupOf(config)
  const gan = Model.wrap(setup.gan, setup.modulation)
  const sampler = await Sampler.open({ gan, generator, description: config.model }, engine)
  const once = async (): Promise<number> => {
    const began = performance.now()
    const batches = Sampler.stream(sampler, gan, { count: PICTURES, seed: config.seed })
    await Failure.orThrow(FeatureSet.of({ kind: "batches", name: "forecast", batches }, extractor))
    return (performance.now() - began) / 1000 / PICTURES
  }
  try {
    await once()
    return await once()
  } finally {
    await sampler.dispose()
    await extractor.close()
  }
}

/** @param networks first values, as a new run has them */
export const of = async (
  config: RunConfig,
  networks: State.Networks,
  { steps, every, scoreCount, extractor, keepBytes = Training.KEPT_BYTES }: Planned,
  engine: Engine.Engine,
): Promise<Forecast> => {
  const { seconds: secondsPerStep, bytes } = await pace(config, networks, engine)
  const written = Math.ceil(steps / every)
  const kept = Math.min(written, 1 + Math.floor(keepBytes / bytes))
  /** The reference, the source, and every interval. */
  const looks = 2 + written
  const each = scoreCount === 0 ? 0 : await look(config, networks.generator, extractor, engine)
  const scores = looks * scoreCount * each
  return { secondsPerStep, scores, seconds: steps * secondsPerStep + scores, checkpoints: { bytes, written, kept } }
}
