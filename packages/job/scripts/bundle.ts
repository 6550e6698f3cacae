/**
 * Makes a bundled model of a run: `tsx packages/job/scripts/bundle.ts RUN NAME CREDIT GOOD_FOR [REFERENCE [COUNT]]` writes
 * `packages/job/assets/NAME/`: the generator's moving average and the discriminator in float16, and a model card with configuration,
 * seed, credit (of images and architecture), what the model is good for, the run's curve, samples, and scores of the bundled generator
 * against images that it was not trained on.
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

const [run, name, credit, goodFor, reference, wanted = "1000"] = process.argv.slice(2)
if (run === undefined || name === undefined || credit === undefined || goodFor === undefined)
  throw new Error("usage: bundle.ts RUN NAME CREDIT GOOD_FOR [REFERENCE [COUNT]]")
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
const { data, batch, learningRate, betas = [0, 0.99], penalty, loss, ema, augment = [], seed, source } = config
const numbers = [...Array(64).keys()]
await Failure.orThrow(Sample.run({ model: folder, seed: 0, numbers, grid: join(folder, "samples.png") }, engine))

/** Rows `| score | value |` of the bundled generator, by the best extractor whose weights are found. */
const judged = async (path: string): Promise<readonly string[]> =>
  ImageSelection.use(path, { seed: 0 }, async (set) => {
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
        `Scores of the bundled generator, ${scorer.count} samples (seed 0) against ${scorer.count} photographs that it was not trained on (\`${path.split("/").at(-1)}\`):`,
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
const penalised = loss === undefined ? `R1 ${penalty.weight} on ${penalty.mode}` : `${loss.kind} loss`
const before = source === undefined ? "" : `, from \`${source.path}\` (${source.recipe})`
const trained = `During training, against training images (${curve[0]?.extractor ?? "none"}):

${labels.length > 0 ? "![curve](curve.svg)\n\n" : ""}| ${columns.join(" | ")} |
| ${columns.map(() => "---:").join(" | ")} |
${curve.map((line) => `| ${columns.map((key) => shown(scoreAt(line, key))).join(" | ")} |`).join("\n")}
`
const card = `# ${name}

Trained by \`adafm pretrain\` (this project's own code) for ${model.step?.toLocaleString("en")} iterations${before}; made by \`packages/job/scripts/bundle.ts\`. Float16, ${count(model.generator)} numbers in the
generator (moving average), ${count(model.discriminator)} in the discriminator.

![64 samples](samples.png)

| | |
| --- | --- |
| architecture | \`${JSON.stringify(model.description.config)}\` |
| images | ${data.images.toLocaleString("en")} of ${data.classes.length} classes: ${data.classes.join(", ")}; SHA-256 over names and contents \`${data.sha256}\` |
| training | batch ${batch}, Adam(${learningRate.generator}, ${betas.join(", ")}), ${penalised}, ${augment.length === 0 ? "no augmentation" : augment.join(", ")}, moving average ${ema.decay}${ema.ramp ? " (shorter at the start)" : ""}, seed ${seed} |
| credit | ${credit} |
| licence | MIT, as the rest of this project |
| good for | ${goodFor} |

${(reference === undefined ? [] : await judged(reference)).join("\n")}
${curve.length === 0 ? "" : trained}`
await Failure.orThrow(Files.write(join(folder, "README.md"), card))
console.log(folder)
