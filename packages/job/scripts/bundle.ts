/**
 * Makes a bundled model of a run: `tsx packages/job/scripts/bundle.ts RUN NAME [REFERENCE [COUNT]]` writes
 * `packages/job/assets/NAME/`: the generator's moving average and the discriminator in float16, and a model card with configuration,
 * seed, credit, the run's curve, samples, and scores of the bundled generator against images that it was not trained on.
 */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure, Files, Flat, NdArray, Safetensors } from "@adafm/core"
import { Engines } from "@adafm/engine"
import { ModelFolder, RunFolder, type State } from "@adafm/gan"
import { Chart, Page } from "@adafm/report"
import * as ImageSelection from "../src/run/ImageSelection.ts"
import * as Model from "../src/run/Model.ts"
import { RunConfig } from "../src/run/RunConfig.ts"
import * as Sampler from "../src/run/Sampler.ts"
import * as Scorer from "../src/run/Scorer.ts"
import * as Sample from "../src/verbs/Sample.ts"

const [run, name, reference, wanted = "1000"] = process.argv.slice(2)
if (run === undefined || name === undefined) throw new Error("usage: bundle.ts RUN NAME [REFERENCE [COUNT]]")
const folder = join(fileURLToPath(new URL("../assets/", import.meta.url)), name)
const model = await Failure.orThrow(Model.open(run))
if (model.modulation !== undefined)
  throw new Error(`${run} is modulated: fold it with adafm export --checkpoint, import that, and train it on`)
const config = await Failure.orThrow(ModelFolder.readJson(RunConfig, join(run, "config.json")))
const curve = await Failure.orThrow(RunFolder.lines(run, "metric"))

const half = (params: State.Params): Flat.Flat<NdArray.NdArray> => Flat.map(params, NdArray.toFloat16)
for (const net of ["generator", "discriminator"] as const) {
  await Failure.orThrow(Safetensors.write(join(folder, `${net}.safetensors`), half(model[net])))
}
await Failure.orThrow(Files.write(join(folder, "model.json"), `${JSON.stringify(model.description, null, 2)}\n`))

const engine = await Engines.open()
const { data, batch, learningRate, penalty, ema, augment = [], seed, source } = config
const numbers = [...Array(64).keys()]
await Failure.orThrow(Sample.run({ model: folder, seed: 0, numbers, grid: join(folder, "samples.png") }, engine))

/** Rows `| score | value |` of the bundled generator, by the best extractor whose weights are found. */
const judged = async (path: string): Promise<readonly string[]> =>
  ImageSelection.use(path, { seed: 0, classes: data.classes }, async (set) => {
    const bundled = await Failure.orThrow(Model.open(folder))
    const [size] = bundled.gan.image
    const scorer = await Scorer.open(set, { count: Number(wanted), size, seed: 0, metrics: ["fid", "kid", "prdc"] })
    const sampler = await Sampler.open(bundled, engine)
    try {
      const { metrics } = await scorer.score(Sampler.stream(sampler, bundled.gan, { count: scorer.count, seed: 0 }))
      const rows = Object.values(metrics).map(({ label, value }) =>
        typeof value === "number"
          ? `| ${label} | ${+value.toPrecision(4)} |`
          : `| ${label} | ${Object.entries(value)
              .map(([key, v]) => `${key} ${+Number(v).toPrecision(3)}`)
              .join(", ")} |`,
      )
      return [
        `Scores of the bundled generator, ${scorer.count} samples (seed 0) against ${scorer.count} images of \`${path.split("/").at(-1)}\`, of the same classes, none of them trained on:`,
        "",
        "| score | |",
        "| --- | ---: |",
        ...rows,
        "",
      ]
    } finally {
      await sampler.dispose()
      await scorer.close()
    }
  })

const labels = Scorer.values(curve[0] ?? {}).map(({ label }) => label)
const scoreAt = (line: RunFolder.Line, label: string): unknown =>
  Scorer.values(line).find((score) => score.label === label)?.value ?? line[label]
/** The curve shows KID, by which runs are stopped. */
const drawn = labels.find((label) => label.startsWith("KID")) ?? labels[0] ?? "score"
const chart: Chart.Chart = {
  kind: "lines",
  title: `${drawn} by step`,
  x: { label: "step" },
  y: { label: drawn.replace(/ \(.*/, ""), from: 0 },
  series: [{ name, points: curve.map((line) => ({ x: Number(line.step), y: Number(scoreAt(line, drawn)) })) }],
}
if (labels.length > 0) await Failure.orThrow(Files.write(join(folder, "curve.svg"), Chart.file(chart, Page.escaped)))

const count = (params: State.Params): string =>
  Object.values(params)
    .reduce((n, { shape }) => n + NdArray.sizeOf(shape), 0)
    .toLocaleString("en")
const columns = ["step", ...labels, "count"]
const shown = (value: unknown): string => (typeof value === "number" ? String(+value.toPrecision(4)) : String(value))
const before = source === undefined ? "" : `, from \`${source.path}\` (${source.recipe})`
const card = `# ${name}

Trained by \`adafm pretrain\` (this project's own code) for ${model.step?.toLocaleString("en")} iterations${before}; made by \`packages/job/scripts/bundle.ts\`. Float16, ${count(model.generator)} numbers in the
generator (moving average), ${count(model.discriminator)} in the discriminator.

![64 samples](samples.png)

| | |
| --- | --- |
| architecture | \`${JSON.stringify(model.description.config)}\` |
| images | ${data.images.toLocaleString("en")} of ${data.classes.length} classes: ${data.classes.join(", ")}; SHA-256 over names and contents \`${data.sha256}\` |
| training | batch ${batch}, Adam(${learningRate.generator}, 0, 0.99), R1 ${penalty.weight} on ${penalty.mode}, ${augment.length === 0 ? "no augmentation" : augment.join(", ")}, moving average ${ema.decay}${ema.ramp ? " (shorter at the start)" : ""}, seed ${seed} |
| credit | images: CIFAR-10 (A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009), none of which are included; architecture: GP-GAN as in L. Mescheder et al., *Which Training Methods for GANs do actually Converge?*, 2018 |
| licence | MIT, as the rest of this project |
| good for | a source of transfers at ${model.gan.image[0]} px; its own pictures are too blurred and small for anything else |

${(reference === undefined ? [] : await judged(reference)).join("\n")}
During training, against training images (${curve[0]?.extractor ?? "none"}):

${labels.length > 0 ? "![curve](curve.svg)\n\n" : ""}| ${columns.join(" | ")} |
| ${columns.map(() => "---:").join(" | ")} |
${curve.map((line) => `| ${columns.map((key) => shown(scoreAt(line, key))).join(" | ")} |`).join("\n")}
`
await Failure.orThrow(Files.write(join(folder, "README.md"), card))
console.log(folder)
