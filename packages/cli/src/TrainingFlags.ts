/** What `pretrain` and `transfer` have in common: settings, progress, a clean stop. */
import type { Training } from "@adafm/job"
import { z } from "zod"
import * as Terminal from "./Terminal.ts"
import * as Values from "./Values.ts"
import type * as Verb from "./Verb.ts"
import { usage } from "./Verb.ts"

export const shape = {
  data: Values.text,
  out: Values.folder,
  every: z.exactOptional(Values.count),
  keepEvery: z.exactOptional(Values.count),
  new: Values.flag.default(false),
  batch: z.exactOptional(Values.count),
  size: z.exactOptional(Values.count),
  lr: z.exactOptional(Values.positive),
  penalty: z.exactOptional(Values.nonnegative),
  augment: z.exactOptional(Values.listOf(["none", "color", "translation", "cutout"])),
  ada: Values.flag.default(false),
  adaTarget: z.exactOptional(Values.number),
  adaThousands: z.exactOptional(Values.positive),
  lecam: z.exactOptional(Values.positive),
  conditional: Values.flag.default(false),
  limit: z.exactOptional(Values.count),
  limitPerClass: z.exactOptional(Values.count),
  classes: z.exactOptional(Values.list),
  scoreCount: Values.natural.default(500),
  extractor: z.exactOptional(Values.text),
}
export type Settings = z.output<z.ZodObject<typeof shape>> & { readonly steps?: number } & Verb.Globals

export const flags: readonly (readonly [string, string])[] = [
  ["--data <images>", "a folder (class sub-folders allowed), a zip, or safetensors with `images`"],
  ["--out <run>", "the run folder; one that exists is resumed"],
  ["--new", "begin again; the old run folder is moved aside"],
  ["--config <file>", "settings in YAML, named as these flags"],
  ["--set <key=value...>", "one setting more, also for keys of --config"],
  ["--every <n>", "steps between two scores, grids and checkpoints (default: a tenth of all)"],
  ["--keep-every <n>", "checkpoints of multiples of n steps stay"],
  ["--batch <n>", "images of one step (default 16)"],
  ["--size <px>", "height and width of the images"],
  ["--lr <rate>", "learning rate of Adam (default 1e-4, transfers below 128 px 2e-4)"],
  ["--penalty <weight>", "weight of R1, without the factor ½ (default 10 at 128 px, less with fewer pixels)"],
  [
    "--augment <a,b>",
    "DiffAugment: color, translation, cutout; none (default for transfers of under 1,000 images: color,translation)",
  ],
  ["--ada", "adaptive discriminator augmentation, in place of DiffAugment unless --augment names that too"],
  ["--ada-target <r>", "of the mean sign of what D says of reals (default 0.6)"],
  [
    "--ada-thousands <n>",
    "thousands of reals in which ADA could go from nothing to always (default 100, pretrain 500)",
  ],
  ["--lecam <weight>", "the LeCam regulariser of D (0.3 in its authors' CIFAR runs; default none)"],
  ["--conditional", "the images' classes condition the model"],
  ["--limit <n>", "a seeded subset of the images, balanced over the classes"],
  ["--limit-per-class <n>", "the same, of each class"],
  ["--classes <a,b>", "only these classes"],
  ["--score-count <n>", "images of each side of a score, 0 for none (default 500)"],
  ["--extractor <name>", "what scores look through (default: the best Inception that is found)"],
]

/** `FID`, `FID-768`, `FID (embedded)`: the features always, the rest of a label is said once, in a note. */
const short = (label: string): string => label.replace(/ \(inception-(\d+)\)$/, "-$1").replace(/, [^()]*\)$/, ")")

/** `step 100  FID-768 1.28  KID-768 0.03` */
const scoreOf = ({ step, ...line }: Training.Score): readonly string[] => [
  `step ${step}`,
  ...Object.entries(line).flatMap(([label, value]) =>
    /^(FID|KID)\b/.test(label) ? [`${short(label)} ${+Number(value).toPrecision(4)}`] : [],
  ),
]

/** The settings by the names that a job has for them. */
export const named = <S extends Partial<Settings>>(settings: S) => {
  const { lr, augment, ada, adaTarget, adaThousands, lecam, ...rest } = settings
  if (ada !== true && (adaTarget !== undefined || adaThousands !== undefined))
    usage("--ada-target and --ada-thousands belong to --ada")
  return {
    ...rest,
    ...(lr !== undefined && { learningRate: lr }),
    ...(augment !== undefined && { augment: augment.filter((name) => name !== "none") }),
    ...(ada === true && {
      ada: {
        ...(adaTarget !== undefined && { target: adaTarget }),
        ...(adaThousands !== undefined && { thousands: adaThousands }),
      },
    }),
    ...(lecam !== undefined && { lecam: { weight: lecam } }),
  }
}

/** The settings as a job wants them, with its news on the terminal. */
export const options = <S extends Settings>(settings: S, terminal: Terminal.Terminal, progress: Terminal.Progress) => {
  const stats = ({ g_loss = Number.NaN, d_loss = Number.NaN }: Training.Progress["stats"]): string =>
    `G ${g_loss.toFixed(3)} D ${d_loss.toFixed(3)}`
  return {
    ...named(settings),
    restart: settings.new,
    command: Terminal.command,
    onProgress: (p: Training.Progress) =>
      progress.update(p.step, p.steps, `${(1000 * p.secondsPerStep).toFixed(0)} ms a step, ${stats(p.stats)}`),
    onScore: (score: Training.Score) => terminal.note(scoreOf(score).join("  ")),
    onNote: terminal.note,
    shouldStop: terminal.heedInterrupts(),
  }
}

/** The answer of a finished or interrupted run. */
export const answer = (outcome: Training.Outcome & { readonly plan: object }, steps: number): Verb.Answer => {
  const rows = outcome.metrics.map(scoreOf)
  const text = [
    `${outcome.run}: ${outcome.steps} steps, ${outcome.seconds.toFixed(1)} s of training in this call`,
    ...(rows.length > 0 ? [Terminal.table(rows)] : []),
    ...(outcome.steps < steps ? [`stopped before step ${steps}; the same command goes on`] : []),
  ].join("\n")
  return { json: outcome, text, ...(outcome.steps < steps && { code: 130 }) }
}
