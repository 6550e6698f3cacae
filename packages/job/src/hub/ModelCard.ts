/** The README of a shared model: what it is, what it was made from, how it was scored, how it is used. */
import { basename } from "node:path"
import type { RunFolder } from "@adafm/gan"
import { Table } from "@adafm/report"
import YAML from "yaml"
import type { RunConfig } from "../run/RunConfig.ts"
import * as Scorer from "../run/Scorer.ts"

export interface Statements {
  /** An identifier such as `cc-by-4.0`; `unknown` if nobody said it. */
  readonly licence: string
  /** Where the photographs are from and under which terms, in the author's words. */
  readonly data?: string
}

export interface Described {
  readonly title: string
  readonly architecture: string
  readonly image: readonly number[]
  readonly latent: { readonly distribution: string; readonly dim: number }
  readonly parameters: { readonly generator: number; readonly discriminator: number }
  /** Of a run. */
  readonly config?: RunConfig
  readonly step?: number
  /** The last line of `metric.jsonl`. */
  readonly scores?: RunFolder.Line
  /** SHA-256 of the file that a model was imported from. */
  readonly importedFrom?: string
  readonly files: Readonly<Record<string, string>>
}

/** What the Hub reads: tags, licence, scores. */
const frontMatter = ({ title, config, scores }: Described, { licence }: Statements): string => {
  const metrics = (scores === undefined ? [] : Scorer.values(scores)).map(({ name, label, value }) => ({
    type: name,
    name: label,
    value,
  }))
  return YAML.stringify({
    license: licence,
    library_name: "adafm",
    pipeline_tag: "unconditional-image-generation",
    tags: ["gan", "adafm", "few-shot", "onnx", "safetensors"],
    ...(metrics.length > 0 && {
      "model-index": [
        {
          name: title,
          results: [
            {
              task: { type: "unconditional-image-generation" },
              dataset: { type: "custom", name: config === undefined ? "custom" : nameOf(config.data.path) },
              metrics,
            },
          ],
        },
      ],
    }),
  })
}

/** The last part of a path: the other parts say something of the author's disk. */
export const nameOf = (path: string): string =>
  path.includes(":") && !/^[a-z]:[\\/]/i.test(path) ? path.replace(/\?.*/, "") : basename(path)

const dataText = ({ config }: Described, { data }: Statements): readonly string[] => [
  data ??
    "The author has not said where the photographs are from, or under which terms they may be used: ask before you use this model for more than looking at it.",
  ...(config === undefined
    ? []
    : [
        `${config.data.images} images${config.data.classes.length > 1 ? ` of ${config.data.classes.length} classes (${config.data.classes.join(", ")})` : ""}; SHA-256 over names and contents \`${config.data.sha256}\`. The images themselves are not in this repository. A model trained on few images can reproduce parts of them.`,
      ]),
]

const scoresText = ({ scores }: Described): readonly string[] => {
  if (scores === undefined) return ["No scores were taken."]
  const { extractor, extractorSha256, mode, size, count, seed, referenceSeed, referenceSha256 } = scores
  return [
    Table.markdown({
      columns: [{ title: "score" }, { title: `step ${scores.step}` }],
      rows: Scorer.values(scores).map(({ label, value }) => [label, value]),
    }),
    `Extractor ${extractor} (weights SHA-256 \`${extractorSha256}\`), mode ${mode}, ${size} px, ${count} images on each side, seed ${seed}, reference seed ${referenceSeed ?? seed}, reference images SHA-256 \`${referenceSha256}\`. Scores compare only if all of this is equal.`,
  ]
}

const trainingText = ({ config, step }: Described): readonly string[] => {
  if (config === undefined) return ["Imported from a checkpoint; its training is not recorded."]
  const { source, batch, learningRate, penalty, augment = [], seed, made } = config
  const from =
    source === undefined
      ? "Trained from scratch"
      : `Adapted from \`${nameOf(source.path)}\` (SHA-256 \`${source.sha256}\`) with recipe \`${source.recipe}\``
  return [
    `${from}: ${step} steps of ${batch} images, Adam at ${learningRate.generator}, R1 ${+penalty.weight.toPrecision(3)} on ${penalty.mode}, ${augment.length === 0 ? "no DiffAugment" : `DiffAugment ${augment.join(", ")}`}, seed ${seed}.`,
    ...(made === undefined
      ? []
      : [
          `Made with ${Object.entries(made.versions)
            .map(([name, version]) => `${name} ${version}`)
            .join(", ")}${made.commit === undefined ? "" : `, commit \`${made.commit}\``}.`,
        ]),
  ]
}

export const text = (described: Described, statements: Statements): string => {
  const { title, architecture, image, latent, parameters, importedFrom, files } = described
  const [height, width] = image
  const section = (heading: string, parts: readonly string[]): string => `## ${heading}\n\n${parts.join("\n\n")}`
  return [
    `---\n${frontMatter(described, statements)}---`,
    `# ${title}`,
    `A generator (GAN) of images of ${height} × ${width} px, ${architecture}, ${parameters.generator.toLocaleString("en-US")} parameters, made with [adafm](https://www.npmjs.com/package/@adafm/cli).`,
    "![64 samples](samples.png)",
    section("Use", [
      "```sh\nadafm sample hf:OWNER/NAME --count 64 --grid samples.png\nadafm transfer --source hf:OWNER/NAME --data my-photos --out runs/mine\n```",
      `\`generator.onnx\` runs wherever ONNX Runtime does: its input \`z\` [N, ${latent.dim}] is ${latent.distribution === "normal" ? "standard normal" : "uniform in [-1, 1]"}, its output \`image\` is NCHW in [-1, 1].`,
    ]),
    section("Source and training", [
      ...trainingText(described),
      ...(importedFrom === undefined ? [] : [`Imported from a file with SHA-256 \`${importedFrom}\`.`]),
    ]),
    section("Data", dataText(described, statements)),
    section("Scores", scoresText(described)),
    section("Limits", [
      "Samples have the colours, textures and layouts of the training images; shapes can be unsteady. Do not use them as evidence of anything that was photographed.",
    ]),
    section("Files", [
      Table.markdown({
        columns: [{ title: "file" }, { title: "SHA-256" }],
        rows: Object.entries(files).map(([name, sha256]) => [`\`${name}\``, `\`${sha256}\``]),
      }),
    ]),
    section("Licence", [
      statements.licence === "unknown"
        ? "The author has not stated a licence."
        : `\`${statements.licence}\`, as stated by the author.`,
    ]),
    "",
  ].join("\n\n")
}
