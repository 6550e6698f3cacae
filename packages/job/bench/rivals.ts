/**
 * `pnpm bench:rivals [iterations]`: the cost of a training iteration of every recipe, compared with that of `adafm`, from the bundled
 * source (nf 16, nf-max 128, 32 px) at batch 16. It measures the processor time of one thread, which excludes other jobs. All recipes
 * run in one process on one engine, an iteration each in turn; a ratio is the median of the ratios of single rounds.
 */
import { Recipes } from "@adafm/baselines"
import { Failure, Rng } from "@adafm/core"
import { Engines } from "@adafm/engine"
import { State, Step, TrainingLoop } from "@adafm/gan"
import { PreparedTarget, type Surgery } from "@adafm/transfer"
import * as Model from "../src/run/Model.ts"
import * as Training from "../src/run/Training.ts"
import * as TransferConfig from "../src/run/TransferConfig.ts"
import type * as Transfer from "../src/verbs/Transfer.ts"

const SOURCE = "builtin:cifar32-small"
const WARMUP = 3

type Variant = readonly [name: string, surgery: Surgery.Given, options?: Partial<Transfer.Options>]
const variants: readonly Variant[] = [
  ["adafm", { recipe: "adafm" }],
  ["adafm --head gp", { recipe: "adafm", head: "gp" }],
  ["scratch", { recipe: "scratch" }],
  ...Recipes.names.map((recipe): Variant => [recipe, { recipe }]),
  ["g3d2-random", { recipe: "g3d2-random" }],
  ["g3d2-shuffled", { recipe: "g3d2-shuffled" }],
  ["adafm --modulation input-conditioned", { recipe: "adafm", modulation: { kind: "input-conditioned" } }],
  ["adafm --modulate-d", { recipe: "adafm", discriminator: { moves: "modulated" } }],
  ["adafm --ada", { recipe: "adafm" }, { ada: {} }],
  [
    "finetune --augment color,translation,cutout",
    { recipe: "finetune" },
    { augment: ["color", "translation", "cutout"] },
  ],
  ["finetune --ada", { recipe: "finetune" }, { ada: {} }],
  ["finetune --lecam 0.3", { recipe: "finetune" }, { lecam: {} }],
]

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const iterations = Number(process.argv[2] ?? 15)
const engine = await Engines.open({ threads: 1 })
const source = await Failure.orThrow(Model.open(SOURCE))

const open = async ([name, given, more = {}]: Variant) => {
  // what trains later in a run trains from the start here
  const surgery = { ...given, unfreezeAt: 0 }
  const options = {
    source: SOURCE,
    surgery,
    data: "",
    out: "",
    steps: 1000,
    every: 1000,
    scoreCount: 0,
    seed: 0,
    augment: [],
    ...more,
  }
  const prepared = await PreparedTarget.of(source, options, engine)
  const data = { path: "", sha256: "", images: 100, classes: [] }
  const config = TransferConfig.of(options, source, prepared, data, engine)
  const setup = await Training.newSetupOf(config, prepared.networks, engine)
  const state = State.initial(setup, prepared.networks)
  const x = Rng.uniform(Rng.at(0, "bench/x"), [config.batch, ...setup.gan.image], -1, 1)
  const inputs = (step: number) => TrainingLoop.batchAt({ setup, seed: 0, batches: async () => ({ x }) }, step)
  const program = await engine.compile(Step.make(setup, 0), State.specs(state, await inputs(0)))
  program.write(state)
  const times: number[] = []
  return {
    name,
    times,
    run: async (step: number): Promise<void> => {
      const batch = await inputs(step)
      const began = process.cpuUsage()
      await program.run(batch)
      const { user, system } = process.cpuUsage(began)
      if (step >= WARMUP) times.push((user + system) / 1000)
    },
  }
}

const opened: Awaited<ReturnType<typeof open>>[] = []
for (const variant of variants) {
  opened.push(await open(variant))
  console.error(`${variant[0]} is compiled`)
}
for (let step = 0; step < WARMUP + iterations; step++) for (const { run } of opened) await run(step)

const base = opened[0]!.times
console.log("| recipe | ms | ratio to adafm |\n| --- | ---: | ---: |")
for (const { name, times } of opened) {
  const ratio = median(times.map((ms, i) => ms / base[i]!))
  console.log(`| \`${name}\` | ${median(times).toFixed(0)} | ${ratio.toFixed(2)} |`)
}
process.exit()
