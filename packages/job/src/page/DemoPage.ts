/** The page of the demonstration: before, after, and the scores of both arms. */
import { Failure } from "@adafm/core"
import { Image } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { Page, type Table } from "@adafm/report"
import * as Scorer from "../run/Scorer.ts"
import type * as Training from "../run/Training.ts"
import * as DemoPlan from "../verbs/DemoPlan.ts"
import type * as Transfer from "../verbs/Transfer.ts"

export interface Arm {
  readonly name: string
  readonly recipe: string
  readonly outcome: Transfer.Outcome
}

/** The scores of the finished generators by another extractor. */
export interface Judgement {
  readonly label: string
  readonly values: readonly number[]
}

export interface Shown {
  /** Steps that both arms take on a fast machine. */
  readonly wanted: number
  readonly plan: DemoPlan.DemoPlan
  readonly source: readonly Image.Rgb[]
  readonly target: readonly Image.Rgb[]
  readonly after: readonly (readonly Image.Rgb[])[]
}

const sheet = (images: readonly Image.Rgb[]): Promise<Uint8Array> =>
  Failure.orThrow(Image.png(Image.sheet(images, { columns: 8, scale: images[0]!.shape[0]! < 64 ? 2 : 1 })))

/** The FID of a line of scores: its label, `FID (embedded, …)`, and value. */
export const scoreOf = (score: Training.Score | undefined): readonly [label: string, value: number] | undefined =>
  score === undefined
    ? undefined
    : Scorer.values(score).flatMap(({ name, label, value }) => (name === "fid" ? [[label, value] as const] : []))[0]

const points = ({ outcome }: Arm): readonly { readonly x: number; readonly y: number }[] =>
  outcome.metrics.flatMap((score) => {
    const found = scoreOf(score)
    return found === undefined ? [] : [{ x: score.step, y: found[1] }]
  })

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** The last scores, in words. */
const verdict = (arms: readonly Arm[]): string => {
  const ends = arms.flatMap((arm) => {
    const end = points(arm).at(-1)
    return end === undefined ? [] : [{ name: arm.name, ...end }]
  })
  const said = ends.map(({ name, y }) => `${name} ${y.toFixed(1)}`).join(", ")
  return ends.length === 0
    ? ""
    : `FID after ${ends[0]!.x} steps: ${said}. This is one seed; another may end differently.`
}

export interface About {
  readonly source: string
  /** How the user calls the command. */
  readonly command: string
  readonly images: number
  readonly next: readonly string[]
}

/** @param about what is said of the source and the images, and the commands to try next */
export const of = async (
  arms: readonly Arm[],
  shown: Shown,
  judged: Judgement | undefined,
  { source, command, images, next }: About,
  engine: Engine.Engine,
): Promise<Page.Page> => {
  const label = scoreOf(arms[0]!.outcome.metrics[0])?.[0] ?? "score"
  const metric = label.replace(/ \(.*/, "")
  const steps = Math.max(...arms.map(({ outcome }) => outcome.steps))
  const rows = arms.map((arm, k): readonly Table.Cell[] => {
    const { trainable, copied } = arm.outcome.plan
    const curve = points(arm)
    return [
      arm.name,
      trainable / 1e6,
      copied / 1e6,
      curve[0]?.y,
      curve.at(-1)?.y,
      ...(judged ? [judged.values[k]] : []),
    ]
  })
  const shownAfter = await Promise.all(
    arms.map(async ({ name }, k) => ({ png: await sheet(shown.after[k]!), caption: `${name}, ${steps} steps` })),
  )
  return {
    title: "A hundred flowers, two generators",
    subtitle: `${steps} steps each on ${images} drawn pictures: one starts with the filters of a pretrained GAN, the other from scratch.`,
    blocks: [
      Page.note(
        "Illustration, not evidence: one seed, a small source, a few minutes of training, pictures drawn by a program. " +
          "The experiments of this project test its claims.",
      ),
      ...(steps < shown.wanted ? [Page.text(`${capital(DemoPlan.text(shown.plan, shown.wanted))}.`)] : []),
      Page.heading("Before"),
      Page.grid({
        pictures: [
          { png: await sheet(shown.source), caption: `Samples of the source (${source})` },
          { png: await sheet(shown.target), caption: `Some of the ${images} flowers to learn from` },
        ],
      }),
      Page.heading("After"),
      Page.grid({ pictures: shownAfter }),
      Page.heading("Scores"),
      Page.chart({
        kind: "lines",
        title: `${label} against flowers that are not trained on; lower is better`,
        x: { label: "step" },
        y: { label: metric, from: 0 },
        series: arms.map((arm) => ({ name: arm.name, points: points(arm) })),
      }),
      Page.table({
        columns: [
          { title: "" },
          { title: "trained parameters, millions", digits: 2 },
          { title: "copied parameters, millions", digits: 2 },
          { title: `${metric} before`, digits: 3 },
          { title: `${metric} after`, digits: 3, best: "low" },
          ...(judged ? [{ title: judged.label, digits: 3, best: "low" as const }] : []),
        ],
        rows,
      }),
      Page.text(verdict(arms)),
      Page.facts({
        "feature extractor": String(arms[0]!.outcome.metrics[0]?.extractor ?? "none"),
        "images on each side": Number(arms[0]!.outcome.metrics[0]?.count ?? 0),
        engine: engine.provider === undefined ? engine.name : `${engine.name}, ${engine.provider}`,
      }),
      Page.heading("With your own images"),
      Page.text(
        "Put your folder or zip of images in place of PHOTOS. docs/photos.md explains every step." +
          (command.startsWith("pnpm") ? " If pnpm is not found, write npx pnpm@10.34.8 in its place." : ""),
      ),
      Page.code(next.join("\n")),
    ],
  }
}
