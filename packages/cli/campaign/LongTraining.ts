/** `LongTraining.ts STEPS`: trains without a folder and prints the resident megabytes after half of the steps and at the end. */
import { Failure, Leaf, NdArray, Optimizer } from "@adafm/core"
import { Engines } from "@adafm/engine"
import { GpGan, type Step, TrainingLoop } from "@adafm/gan"

const steps = Number(process.argv[2] ?? 1000)
const gan = GpGan.of(GpGan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, nf_max: 4, z_dim: 4 }))
const all = (net: Step.Net): Step.Group => ({ name: "all", paths: Object.keys(gan[net]), from: 0 })
const megabytes = (): number => {
  globalThis.gc?.()
  return Math.round(process.memoryUsage().rss / 1e6)
}
const x = NdArray.zeros("float32", [4, 16, 16, 3])
let half = 0
await Failure.orThrow(
  TrainingLoop.run({
    setup: {
      gan,
      batchSize: 4,
      optimizer: { generator: Optimizer.adam, discriminator: Optimizer.adam },
      penalty: { mode: "real", weight: 1 },
      ema: { decay: 0.999, ramp: true },
      trainable: { generator: [all("generator")], discriminator: [all("discriminator")] },
    },
    engine: await Engines.open({ threads: 1 }),
    networks: {
      generator: Leaf.initAll(gan.generator, 0, "generator"),
      discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
    },
    steps,
    seed: 0,
    batches: async () => ({ x }),
    onStats: (step) => {
      if (step === Math.floor(steps / 2)) half = megabytes()
    },
  }),
)
console.log(JSON.stringify({ half, end: megabytes() }))
process.exit(0)
