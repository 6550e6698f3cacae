/** What `pretrain` and `transfer` have in common: settings, progress, a clean stop, the summary of a run. */
import type { Training } from "@adafm/job"
import { z } from "zod"
import * as ScoreText from "./ScoreText.ts"
import * as Terminal from "./Terminal.ts"
import * as Values from "./Values.ts"
import type * as Verb from "./Verb.ts"
import { kebab, usage } from "./Verb.ts"

export const shape = {
  data: Values.text,
  out: Values.folder,
  every: z.exactOptional(Values.count),
  keepEvery: z.exactOptional(Values.count),
  keepGb: z.exactOptional(Values.nonnegative),
  new: Values.flag.default(false),
  batch: z.exactOptional(Values.batch),
  size: z.exactOptional(Values.pixels),
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
  referenceSeed: z.exactOptional(Values.integer),
  keepBest: z.exactOptional(Values.flag),
}
export type Settings = z.output<z.ZodObject<typeof shape>> & { readonly steps?: number } & Verb.Globals

export const flags: readonly (readonly [string, string])[] = [
  ["--data <images>", "your images: a folder (sub-folders are classes), a zip, or safetensors with `images`"],
  ["--out <run>", "the run folder to write; a run that is there is resumed"],
  ["--new", "start again; the old run folder is moved aside"],
  ["--config <file>", "a YAML file of settings, named like these flags; or the config.json of a run, to repeat it"],
  ["--set <key=value...>", "one more setting; overrides --config"],
  ["--every <n>", "steps between scores, sample grids and checkpoints (default: a tenth of --steps)"],
  [
    "--keep-gb <n>",
    "gigabytes of disk for checkpoints of earlier steps, thinned out evenly (default 1; 0 keeps only the last and the best)",
  ],
  ["--keep-every <n>", "keep the checkpoints of multiples of n steps, whatever their size"],
  ["--keep-best", "keep the checkpoint with the best KID, as best.safetensors (default when scores are taken)"],
  ["--no-keep-best", "do not keep the best checkpoint apart from the others"],
  ["--batch <n>", "images per step (default 16; fastgan 8)"],
  ["--size <px>", "height and width of the images (default: the source's; 32 without one)"],
  ["--lr <rate>", "learning rate of Adam (default 1e-4; 2e-4 for fastgan and for transfers below 128 px)"],
  ["--penalty <weight>", "weight of R1, without the factor ½ (default 10 at 128 px, less with fewer pixels)"],
  [
    "--augment <a,b>",
    "DiffAugment: color, translation, cutout; or none (default color,translation for transfers with under 1,000 images)",
  ],
  ["--ada", "adaptive discriminator augmentation; replaces DiffAugment unless --augment is given too"],
  ["--ada-target <r>", "ADA's target for the mean sign of D's output on real images (default 0.6)"],
  [
    "--ada-thousands <n>",
    "thousands of real images in which ADA's probability can rise from 0 to 1 (default 100; pretrain 500)",
  ],
  ["--lecam <weight>", "weight of the LeCam regulariser of D (default: none; its authors use 0.3 on CIFAR)"],
  ["--conditional", "train a class-conditional model: a class for each sub-folder of --data"],
  ["--limit <n>", "use only n images, chosen by --seed and balanced over the classes"],
  ["--limit-per-class <n>", "use only n images of each class, chosen by --seed"],
  ["--classes <a,b>", "use only these classes"],
  ["--score-count <n>", "images on each side of a score; 0 for no scores (default 500)"],
  [
    "--reference-seed <n>",
    "seed of the choice among more than --score-count reference images (default 0, whatever --seed is)",
  ],
  ["--extractor <name>", "the network whose features are scored (default: the best Inception whose weights are found)"],
]

/** `step 100  FID-768 1.28  KID-768 0.03` */
const scoreOf = ({ step, labels, ...line }: Training.Score): readonly string[] => [
  `step ${step}`,
  // in runs of older versions the labels are the keys
  ...Object.entries(
    typeof labels === "object" ? labels : Object.fromEntries(Object.keys(line).map((key) => [key, key])),
  )
    .filter(([name]) => /^(fid|kid)\b/i.test(name))
    .map(([name, label]) => ScoreText.of(label, Number(line[name]))),
]

/** Settings that say where and how a run is started, and nothing about the run itself. */
const OWN = ["json", "out", "new", "dryRun", "crops", "threads", "jobs", "on", "seeds", "grid"]

/** The settings that `--config` repeats a run from, by the names of their flags. */
export const repeatable = (settings: Partial<Settings>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(settings).flatMap(([key, value]) =>
      OWN.includes(key) || value === undefined || value === false ? [] : [[kebab(key), value]],
    ),
  )

/** The settings with the names that a job has for them. */
export const named = <S extends Partial<Settings>>(settings: S) => {
  if (settings.keepBest === true && settings.scoreCount === 0) usage("--keep-best needs scores: --score-count is 0")
  const { lr, keepGb, augment, ada, adaTarget, adaThousands, lecam, ...rest } = settings
  if (ada !== true && (adaTarget !== undefined || adaThousands !== undefined))
    usage("--ada-target and --ada-thousands belong to --ada")
  return {
    ...rest,
    ...(lr !== undefined && { learningRate: lr }),
    ...(keepGb !== undefined && { keepBytes: 1e9 * keepGb }),
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

/** A bar for each pass over the images before the first step. */
const passes = (terminal: Terminal.Terminal): ((done: number, total: number) => void) => {
  let pass: Terminal.Progress | undefined
  return (done, total) => {
    pass ??= terminal.progress("reading images")
    pass.update(done, total)
    if (done < total) return
    pass.stop()
    pass = undefined
  }
}

/** The settings as options of a job, which reports to the terminal. @param given what was asked for, before a preset is applied */
export const options = <S extends Settings>(
  settings: S,
  terminal: Terminal.Terminal,
  progress: Terminal.Progress,
  given: Partial<Settings> = settings,
) => {
  const stats = ({ g_loss = Number.NaN, d_loss = Number.NaN }: Training.Progress["stats"]): string =>
    `G ${g_loss.toFixed(3)} D ${d_loss.toFixed(3)}`
  return {
    ...named(settings),
    restart: settings.new,
    tensorboard: true,
    command: Terminal.command,
    onProgress: (p: Training.Progress) =>
      progress.update(p.step, p.steps, `${(1000 * p.secondsPerStep).toFixed(0)} ms a step, ${stats(p.stats)}`),
    onImages: passes(terminal),
    onScore: (score: Training.Score) => terminal.note(scoreOf(score).join("  ")),
    onGrid: (step: number, _: unknown, file: string) => terminal.note(`step ${step}: samples in ${file}`),
    onNote: terminal.note,
    invocation: { command: terminal.line, settings: repeatable(given) },
    shouldStop: terminal.heedInterrupts(),
  }
}

/** The answer of a finished or interrupted run. */
export const answer = (outcome: Training.Outcome & { readonly plan: object }, steps: number): Verb.Answer => {
  const rows = outcome.metrics.map(scoreOf)
  const { best } = outcome
  const isLast = best === undefined || best.step === outcome.steps
  const text = [
    `${outcome.run}: ${outcome.steps} steps, ${outcome.seconds.toFixed(1)} s of training in this call`,
    ...(rows.length > 0 ? [Terminal.table(rows)] : []),
    ...(best === undefined
      ? []
      : [`best checkpoint: step ${best.step} (${ScoreText.of(best.label, best.value)}), ${best.file}`]),
    outcome.steps < steps
      ? `stopped before step ${steps}; the same command continues`
      : `next: ${Terminal.command} sample ${outcome.run} --grid samples.png${isLast ? "" : " (the last checkpoint; add --checkpoint best for the best one)"}`,
  ].join("\n")
  return { json: outcome, text, ...(outcome.steps < steps && { code: 130 }) }
}
