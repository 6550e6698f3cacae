import { availableParallelism } from "node:os"
import { join } from "node:path"
import { Failure } from "@adafm/core"
import type { Plan as Plan_, Surgery as Surgery_ } from "@adafm/transfer"
import { z } from "zod"
import * as DryRunText from "../DryRunText.ts"
import * as Settings from "../Settings.ts"
import * as Sweep from "../Sweep.ts"
import * as SweepAnswer from "../SweepAnswer.ts"
import type * as Terminal from "../Terminal.ts"
import * as TrainingFlags from "../TrainingFlags.ts"
import * as Values from "../Values.ts"
import * as Verb from "../Verb.ts"
import { engineOf, usage } from "../Verb.ts"

const shape = {
  ...TrainingFlags.shape,
  // nothing is read and nothing is written in a dry run
  data: z.exactOptional(TrainingFlags.shape.data),
  out: z.exactOptional(TrainingFlags.shape.out),
  source: Values.folder,
  steps: z.exactOptional(Values.count),
  recipe: z.exactOptional(Values.text),
  plan: z.exactOptional(z.union([Values.text, z.record(z.string(), z.unknown())])),
  keepG: z.exactOptional(Values.natural),
  keepD: z.exactOptional(Values.natural),
  head: z.exactOptional(z.enum(["gp", "small"])),
  graft: z.exactOptional(z.enum(["calibrated", "authors"])),
  headNorm: z.exactOptional(z.enum(["measured", "authors"])),
  headGradient: z.exactOptional(Values.positive),
  maxSaturation: z.exactOptional(Values.positive),
  modulation: z.exactOptional(z.enum([...Values.MODULATIONS, "none"])),
  rank: z.exactOptional(Values.width),
  kept: z.exactOptional(z.enum(["frozen", "trained"])),
  regulariserWeight: z.exactOptional(Values.nonnegative),
  modulateD: Values.flag.default(false),
  freshD: Values.flag.default(false),
  modulationRate: z.exactOptional(Values.positive),
  preset: z.exactOptional(z.enum(["paper"])),
  zDim: z.exactOptional(Values.width),
  unfreezeAt: z.exactOptional(Values.natural),
  top: z.exactOptional(z.enum(["view", "fresh"])),
  copy: z.exactOptional(z.enum(["whole body", "only frozen"])),
  penaltyMode: z.exactOptional(z.enum(["real", "real_fake", "none"])),
  reference: z.exactOptional(Values.text),
  alongside: z.exactOptional(Values.rangesOrList),
  seeds: z.exactOptional(Values.rangesOrList),
  jobs: Values.count.default(1),
  grid: z.exactOptional(z.record(z.string(), z.array(z.unknown(), { error: "expected a list of values" }))),
  on: z.exactOptional(z.enum(["slurm"])),
  raw: z.exactOptional(Values.flag),
  dryRun: Values.flag.default(false),
  crops: z.exactOptional(Values.text),
}
type Options = z.output<z.ZodObject<typeof shape>> & Verb.Globals

/** The recipe's name, with the counts that flags ask for. */
const recipeOf = ({ recipe, plan, keepG, keepD, modulation, kept, copy, unfreezeAt }: Options): string | undefined => {
  const counted = keepG !== undefined || keepD !== undefined
  if ([recipe !== undefined, plan !== undefined, counted].filter(Boolean).length > 1)
    return usage("give only one of --recipe, --plan, and --keep-g with --keep-d")
  if (counted) {
    if (keepG === undefined || keepD === undefined) return usage("--keep-g and --keep-d go together")
    return `g${keepG}d${keepD}${modulation === "none" || kept === "trained" ? "" : "-adafm"}`
  }
  if (plan !== undefined && (modulation === "none" || [kept, copy, unfreezeAt].some((given) => given !== undefined)))
    return usage(
      "a --plan says itself what is frozen and modulated: write it there instead of --kept, --copy, --unfreeze-at or --modulation none",
    )
  return recipe
}

const planOf = async ({ plan, freshD }: Options): Promise<Plan_.Plan | undefined> => {
  if (plan === undefined) return undefined
  const { Plan } = await import("@adafm/transfer")
  const read = await Failure.orThrow(typeof plan === "string" ? Plan.read(plan) : async () => Plan.decode(plan))
  return freshD ? { ...read, discriminator: Plan.fresh } : read
}

const modulationOf = async ({ modulation, rank }: Options): Promise<Plan_.Plan["modulation"] | undefined> => {
  if (rank !== undefined && modulation !== "low-rank") return usage("--rank belongs to --modulation low-rank")
  if (modulation === undefined || modulation === "none") return undefined
  const { Plan } = await import("@adafm/transfer")
  return Plan.Plan.shape.modulation.parse({ kind: modulation, ...(rank !== undefined && { rank }) })
}

/** Flags that are given and need a new small head. */
const forHead = ({ graft, headNorm, maxSaturation }: Options): readonly string[] =>
  Object.entries({ "--graft": graft, "--head-norm": headNorm, "--max-saturation": maxSaturation }).flatMap(
    ([flag, value]) => (value === undefined ? [] : [flag]),
  )

/** What the flags say of each network; what they leave out is the recipe's. */
const networksOf = ({ kept, copy, top, modulation, modulateD, freshD }: Options) => {
  const moves = kept === "trained" ? kept : modulation === "none" ? ("frozen" as const) : undefined
  const both = {
    ...(copy !== undefined && { rest: copy === "whole body" ? ("copied" as const) : ("fresh" as const) }),
    ...(top !== undefined && { top }),
    ...(moves !== undefined && { moves }),
  } as const
  return {
    generator: both,
    discriminator: {
      ...both,
      ...(modulateD && moves === undefined && { moves: "modulated" as const }),
      ...(freshD && { keep: 0, rest: "fresh" as const }),
    },
  }
}

const surgeryOf = async (options: Options): Promise<Surgery_.Given> => {
  const { head, graft, headNorm, headGradient, zDim, unfreezeAt } = options
  const [recipe, plan, modulation] = [recipeOf(options), await planOf(options), await modulationOf(options)]
  const given = { recipe, plan, modulation, head, graft, headNorm, headGradient, zDim, unfreezeAt }
  return { ...given, ...networksOf(options) }
}

const penaltyOf = ({ penalty, penaltyMode }: Options) => ({
  ...(penalty !== undefined && { weight: penalty }),
  ...(penaltyMode !== undefined && { mode: penaltyMode }),
})

/** All settings; a given one replaces that of a preset. */
const settingsOf = async (options: Options) => {
  const { Transfer } = await import("@adafm/job")
  const { Surgery } = await import("@adafm/transfer")
  const { surgery, ...preset } = options.preset === undefined ? {} : Transfer.presets[options.preset]
  return {
    ...preset,
    ...options,
    forHead: forHead(options),
    surgery: Surgery.merge(surgery ?? {}, await surgeryOf(options)),
  }
}

const dryRun = async (options: Options, terminal: Terminal.Terminal): Promise<Verb.Answer> => {
  const { TransferPlan } = await import("@adafm/job")
  const { data, out, conditional, crops, source } = options
  if (conditional && data === undefined)
    usage("--conditional takes the classes from --data: name the images with --data")
  const progress = terminal.progress("photographs")
  const selection = { ...options, source, ...(crops !== undefined && { crops }) }
  const photos =
    data === undefined
      ? undefined
      : await Failure.orThrow(TransferPlan.photos({ ...selection, data }, progress.update)).finally(progress.stop)
  const { scoreCount, extractor, every, keepGb } = options
  const timed = {
    scoreCount,
    ...(extractor !== undefined && { extractor }),
    ...(every !== undefined && { every }),
    ...(keepGb !== undefined && { keepBytes: 1e9 * keepGb }),
  }
  const asked = {
    ...TrainingFlags.named(await settingsOf(options)),
    penalty: penaltyOf(options),
    onNote: terminal.note,
    ...(photos !== undefined && { labels: photos.labels, timed }),
    // of a set without a readable picture nothing can be planned but a hundred
    ...(photos !== undefined && photos.used > 0 && { images: photos.used }),
  }
  const planned = await Failure.orThrow(TransferPlan.plan(asked, await engineOf(options)))
  const { time, ...rest } = planned
  const json = {
    run: out ?? null,
    metrics: [],
    seconds: time?.seconds ?? 0,
    dryRun: true,
    ...rest,
    ...(time !== undefined && { checkpoints: time.checkpoints }),
    ...(photos !== undefined && { images: DryRunText.images(photos) }),
  }
  return { json, text: DryRunText.text(planned, photos, crops) }
}

const train = async (options: Options, terminal: Terminal.Terminal): Promise<Verb.Answer> => {
  const { data, out } = options
  if (data === undefined || out === undefined)
    return usage("--data (your images) and --out (the run folder) are required")
  const settings = await settingsOf(options)
  const { Transfer } = await import("@adafm/job")
  const engine = await engineOf(options)
  const progress = terminal.progress("steps")
  const outcome = await Failure.orThrow(
    Transfer.run(
      {
        ...TrainingFlags.options({ ...settings, data, out }, terminal, progress, options),
        source: options.source,
        penalty: penaltyOf(options),
        onChoices: (choices, { images }) => {
          if (choices.length > 0) terminal.note(DryRunText.chosen(choices, images))
        },
      },
      engine,
    ),
  ).finally(progress.stop)
  return TrainingFlags.answer(outcome, outcome.wanted)
}

/** The settings of one run of a sweep, checked like those of a command. */
const cellOptions = (settings: Sweep.Values): Options =>
  Verb.decode(
    z.strictObject({ ...Verb.Globals.shape, ...shape }),
    Object.fromEntries(Object.entries(settings).map(([key, value]) => [Settings.camel(key), value])),
  ) as Options

const sweep = async (
  { seeds, jobs, grid = {}, on, out, json, threads, dryRun: isDry, ...options }: Options,
  terminal: Terminal.Terminal,
): Promise<Verb.Answer> => {
  if (out === undefined) return usage("--out (the folder of the runs) is required")
  const varied = { ...grid, ...(seeds !== undefined && { seed: seeds }) }
  const settings = TrainingFlags.repeatable(options)
  const alongside = varied.seed?.map(Number)
  const cells = Sweep.cells({ ...settings, ...(alongside !== undefined && { alongside }) }, varied)
  // every run is checked before the first one begins
  for (const cell of cells) cellOptions({ ...cell.settings, out: join(out, cell.name) })
  await Sweep.write(out, cells)
  const share = threads ?? Math.max(1, Math.floor(availableParallelism() / jobs))
  if (on === "slurm") return SweepAnswer.submitted(out, cells, Sweep.slurm(out, cells, jobs, share), isDry)
  const shouldStop = terminal.heedInterrupts()
  const ended: Sweep.Ended[] = []
  if (jobs > 1)
    ended.push(...(await Sweep.inProcesses(out, cells, { jobs, threads: share, note: terminal.note, shouldStop })))
  else
    for (const cell of cells) {
      if (shouldStop()) break
      terminal.note(`${cell.name}:`)
      const own = cellOptions({
        ...cell.settings,
        out: join(out, cell.name),
        ...(threads !== undefined && { threads }),
      })
      ended.push(await SweepAnswer.settled(cell, () => train(own, terminal)))
    }
  return SweepAnswer.of(out, cells, ended)
}

/** Settings that decide what becomes of the source's parameters. */
const SURGERY = ["recipe", "plan", "keepG", "keepD", "head", "modulation", "modulateD", "zDim", "headGradient", "kept"]

/** A refused recipe or plan names the file that it is from. */
const located = (options: Options, failure: Failure.Failure): Failure.Failure => {
  if (!["BadRecipe", "BadPlan", "BadModulation"].includes(failure._tag)) return failure
  const plan = failure._tag === "BadPlan" && typeof options.plan === "string" ? options.plan : undefined
  const file = plan ?? Settings.fileOf(options, SURGERY)
  return file === undefined ? failure : Failure.inFile(file)(failure)
}

export const transfer: Verb.Verb<typeof shape> = {
  name: "transfer",
  about: "adapt a pretrained GAN to your images",
  flags: [
    [
      "--source <model>",
      "the pretrained GAN: a model folder, a run, or a bundled one such as builtin:cifar32 (doctor lists them)",
    ],
    ...TrainingFlags.flags,
    ["--steps <n>", "iterations in total (default: 1500 to 6000, from the number of images)"],
    ["--preset <name>", "paper: the authors' constants wherever this project has other defaults"],
    [
      "--recipe <name>",
      "adafm (default), adafm-25 (the authors' protocol for 25 images; default under 50), gMdN-adafm, gMdN, gMdN-random, gMdN-shuffled, scratch; finetune, freeze-d, freeze-g, l2-sp, ewc, distillation, minegan (see @adafm/baselines)",
    ],
    ["--plan <file>", "your own plan in YAML: path patterns, and what becomes of the parameters they match"],
    ["--keep-g <m>", "groups of the generator to keep, counted from the image"],
    ["--keep-d <n>", "groups of the discriminator to keep"],
    [
      "--head <name>",
      "the layers above the kept groups: small (the paper's style blocks; default of `adafm` on a GP-GAN) or gp (the source's own)",
    ],
    [
      "--graft <how>",
      "how a small head starts: calibrated (its features are scaled like the source's, measured; default) or authors (their constants)",
    ],
    [
      "--head-norm <what>",
      "what the last layer of a small head normalises with: constants measured over latents (`measured`, default), or each sample's own mean and deviation as in the paper (`authors`; default of --graft authors)",
    ],
    [
      "--head-gradient <share>",
      "share of the gradient that flows back into a small head (default 1e-5, as in the paper)",
    ],
    ["--z-dim <n>", "length of a small head's latent vector (default: the source's)"],
    [
      "--max-saturation <share>",
      "stop if more than this share of the first images' pixels is black or white (default 0.2)",
    ],
    ["--modulation <name>", [...Values.MODULATIONS, "none"].join(", ")],
    ["--rank <n>", "rank of --modulation low-rank (default 4)"],
    ["--kept <how>", "the kept groups stay `frozen` (default), or are `trained` like the rest"],
    ["--regulariser-weight <n>", "weight of l2-sp, ewc or distillation (default: the published one)"],
    ["--modulate-d", "modulate the kept filters of the discriminator too"],
    ["--fresh-d", "train a new discriminator, whatever the recipe keeps: for a source without one"],
    ["--modulation-rate <factor>", "multiplies the learning rate of the modulation (default 1)"],
    ["--unfreeze-at <step>", "the step from which the modulation trains (default: a sixth of the steps)"],
    [
      "--top <what>",
      "GP-GAN's first and last layer: `view`, the source's averaged over its classes (default), or `fresh`",
    ],
    ["--copy <what>", "which groups start with the source's values: `whole body` (default) or `only frozen`"],
    ["--penalty-mode <images>", "images that R1 penalises: real (default), real_fake, none"],
    ["--reference <images>", "images to score against (default: those of --data that are not trained on)"],
    ["--seeds <ranges>", "a run for each of these seeds, such as 0-4, in OUT/seed-0, …; the report has mean and range"],
    ["--jobs <n>", "runs at the same time, each with its share of the threads (default 1)"],
    ["--on <where>", "slurm: hand the runs to Slurm as a job array (with --dry-run: only write the script)"],
    ["--task <i>", "only this run of the sweep.json that --config names, from 0"],
    [
      "--alongside <seeds>",
      "keep what runs of these seeds train on out of the reference (with --limit; --seeds sets it)",
    ],
    ["--raw", "take the source run's trained generator, not its moving average"],
    [
      "--dry-run",
      "train nothing: print what the photographs hold, the settings, the time and what becomes of every parameter",
    ],
    ["--crops <file>", "with --dry-run: write one picture of what the network sees of each photograph"],
  ],
  shape,
  read: Settings.gather,
  run: async ({ options, terminal }) => {
    if (options.crops !== undefined && !options.dryRun) usage("--crops belongs to --dry-run")
    const isSweep = options.seeds !== undefined || options.grid !== undefined
    if (!isSweep && options.on !== undefined) usage("--on belongs to --seeds, or to a grid in --config")
    if (isSweep && (!options.dryRun || options.on !== undefined)) return sweep(options, terminal)
    try {
      return await (options.dryRun ? dryRun(options, terminal) : train(options, terminal))
    } catch (thrown) {
      if (thrown instanceof Failure.Raised) throw new Failure.Raised(located(options, thrown.failure))
      throw thrown
    }
  },
}
