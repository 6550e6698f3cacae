/**
 * A run becomes a bundled model: `tsx packages/job/scripts/bundle.ts runs/cifar32-small cifar32-small` writes
 * `packages/job/assets/cifar32-small/` (averaged generator, discriminator, float16) and a model card with the run's own scores.
 */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure, Files, Flat, NdArray, Safetensors } from "@adafm/core"
import { ModelFolder, RunFolder, type State } from "@adafm/gan"
import * as Model from "../src/Model.ts"
import { RunConfig } from "../src/RunConfig.ts"

const [run, name] = process.argv.slice(2)
if (run === undefined || name === undefined) throw new Error("usage: bundle.ts RUN NAME")
const folder = join(fileURLToPath(new URL("../assets/", import.meta.url)), name)
const model = await Failure.orRaise(Model.open(run))
if (model.modulation !== undefined) throw new Error("a modulated run is folded first: adafm export --checkpoint")
const config = await Failure.orRaise(ModelFolder.readJson(RunConfig, join(run, "config.json")))
const scores = await Failure.orRaise(RunFolder.lines(run, "metric"))

const half = (params: State.Params): Flat.Flat<NdArray.NdArray> => Flat.map(params, NdArray.toFloat16)
for (const net of ["generator", "discriminator"] as const) {
  await Failure.orRaise(Safetensors.write(join(folder, `${net}.safetensors`), half(model[net])))
}
await Failure.orRaise(Files.write(join(folder, "model.json"), `${JSON.stringify(model.description, null, 2)}\n`))

const { data, batch, learningRate, penalty, seed } = config
const count = (params: State.Params): string =>
  Object.values(params)
    .reduce((n, { shape }) => n + NdArray.sizeOf(shape), 0)
    .toLocaleString("en")
const columns = Object.keys(scores[0] ?? {}).filter((key) => key !== "extractor")
const card = `# ${name}

Trained by \`adafm pretrain\` (this project's own code) for ${model.step?.toLocaleString("en")} iterations; made by \`packages/job/scripts/bundle.ts\`. Float16, ${count(model.generator)} numbers in the
generator (moving average), ${count(model.discriminator)} in the discriminator.

| | |
| --- | --- |
| architecture | \`${JSON.stringify(model.description.config)}\` |
| images | ${data.images.toLocaleString("en")} of ${data.classes.length} classes: ${data.classes.join(", ")}; SHA-256 over names and contents \`${data.sha256}\` |
| training | batch ${batch}, Adam(${learningRate.generator}, 0, 0.99), R1 ${penalty.weight} on ${penalty.mode}, seed ${seed} |

Scores along the way against training images (${scores[0]?.extractor ?? "none"}):

| ${columns.join(" | ")} |
| ${columns.map(() => "---:").join(" | ")} |
${scores.map((line) => `| ${columns.map((key) => (typeof line[key] === "number" ? +Number(line[key]).toPrecision(4) : line[key])).join(" | ")} |`).join("\n")}
`
await Failure.orRaise(Files.write(join(folder, "README.md"), card))
console.log(folder)
