import type { Defaults as Defaults_ } from "@adafm/job"
import type { Plan as Plan_ } from "@adafm/transfer"
import { z } from "zod"
import * as Settings from "../Settings.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf, orFail, usage } from "../Verb.ts"
import * as Training from "./training.ts"

const MODULATIONS = [
  "adafm",
  "scale",
  "shift",
  "filter-selection",
  "feature-statistics",
  "rank-one",
  "kml",
  "low-rank",
  "mfilm",
  "fine-tuning",
  "input-conditioned",
  "input-conditioned-another",
  "input-conditioned-constant",
  "none",
] as const

const shape = {
  ...Training.shape,
  // nothing is read and nothing is written in a dry run
  data: z.exactOptional(Training.shape.data),
  out: z.exactOptional(Training.shape.out),
  source: Values.folder,
  steps: z.exactOptional(Values.count),
  recipe: z.exactOptional(Values.text),
  plan: z.exactOptional(z.union([Values.text, z.record(z.string(), z.unknown())])),
  keepG: z.exactOptional(Values.natural),
  keepD: z.exactOptional(Values.natural),
  head: z.exactOptional(z.enum(["gp", "small"])),
  graft: z.exactOptional(z.enum(["calibrated", "authors"])),
  headGradient: z.exactOptional(Values.positive),
  maxSaturation: z.exactOptional(Values.positive),
  modulation: z.exactOptional(z.enum(MODULATIONS)),
  rank: z.exactOptional(Values.count),
  kept: z.exactOptional(z.enum(["frozen", "trained"])),
  regulariserWeight: z.exactOptional(Values.nonnegative),
  modulateD: Values.flag.default(false),
  freshD: Values.flag.default(false),
  modulationRate: z.exactOptional(Values.positive),
  preset: z.exactOptional(z.enum(["paper"])),
  zDim: z.exactOptional(Values.count),
  unfreezeAt: z.exactOptional(Values.natural),
  top: z.exactOptional(z.enum(["view", "fresh"])),
  copy: z.exactOptional(z.enum(["whole body", "only frozen"])),
  penaltyMode: z.exactOptional(z.enum(["real", "real_fake", "none"])),
  reference: z.exactOptional(Values.text),
  raw: z.exactOptional(Values.flag),
  dryRun: Values.flag.default(false),
}
type Options = z.output<z.ZodObject<typeof shape>> & Verb.Globals

/** `steps 3000: why`, a line a choice. */
const choicesOf = (choices: readonly Defaults_.Choice[]): string =>
  choices.map(({ setting, value, reason }) => `  ${setting} ${value}: ${reason}`).join("\n")

/** The recipe's name, with the counts and the modulation that flags ask for. */
const recipeOf = ({ recipe, plan, keepG, keepD, modulation, kept, copy, unfreezeAt }: Options): string | undefined => {
  const counted = keepG !== undefined || keepD !== undefined
  if ([recipe !== undefined, plan !== undefined, counted].filter(Boolean).length > 1)
    return usage("give one of --recipe, --plan and --keep-g with --keep-d")
  if (counted) {
    if (keepG === undefined || keepD === undefined) return usage("--keep-g and --keep-d go together")
    return `g${keepG}d${keepD}${modulation === "none" || kept === "trained" ? "" : "-adafm"}`
  }
  if (plan !== undefined && (modulation === "none" || [kept, copy, unfreezeAt].some((given) => given !== undefined)))
    return usage("what a --plan freezes or modulates it says itself")
  return recipe
}

const planOf = async ({ plan }: Options): Promise<Plan_.Plan | undefined> => {
  if (plan === undefined) return undefined
  const { Plan } = await import("@adafm/transfer")
  return orFail(typeof plan === "string" ? Plan.read(plan) : async () => Plan.decode(plan))
}

const modulationOf = async ({ modulation, rank }: Options): Promise<Plan_.Plan["modulation"] | "none" | undefined> => {
  if (rank !== undefined && modulation !== "low-rank") return usage("--rank belongs to --modulation low-rank")
  if (modulation === undefined || modulation === "none") return modulation
  const { Plan } = await import("@adafm/transfer")
  return Plan.Plan.shape.modulation.parse({ kind: modulation, ...(rank !== undefined && { rank }) })
}

/** Flags that are given and need a new small head. */
const forHead = ({ graft, maxSaturation }: Options): readonly string[] =>
  Object.entries({ "--graft": graft, "--max-saturation": maxSaturation }).flatMap(([flag, value]) =>
    value === undefined ? [] : [flag],
  )

const surgeryOf = async (options: Options) => {
  const { plan: _, modulation: __, preset, ...given } = options
  const { Transfer } = await import("@adafm/job")
  const rest = { ...(preset !== undefined && Transfer.presets[preset]), ...given }
  const recipe = recipeOf(options)
  const [plan, modulation] = [await planOf(options), await modulationOf(options)]
  return {
    ...rest,
    forHead: forHead(options),
    ...(recipe !== undefined && { recipe }),
    ...(plan !== undefined && { plan, strict: true }),
    ...(modulation !== undefined && { modulation }),
  }
}

const penaltyOf = ({ penalty, penaltyMode }: Options) => ({
  ...(penalty !== undefined && { weight: penalty }),
  ...(penaltyMode !== undefined && { mode: penaltyMode }),
})

const dryRun = async (options: Options): Promise<Verb.Answer> => {
  const { Images, Transfer } = await import("@adafm/job")
  const { data, out, conditional } = options
  if (conditional && data === undefined) usage("--conditional counts the classes of --data")
  const counted: { readonly images?: number; readonly labels?: number } =
    data === undefined
      ? {}
      : await Images.use(data, options, async (set) => ({
          images: set.names.length,
          labels: Images.labelsOf(set, conditional),
        }))
  const asked = { ...Training.named(await surgeryOf(options)), penalty: penaltyOf(options), ...counted }
  const planned = await orFail(Transfer.plan(asked, await engineOf(options)))
  const { steps } = planned
  const { copied, fresh, frozen, modulated, trainable, total } = planned.plan
  const { head } = planned
  const text = [
    Terminal.table([
      ["parameter", "shape", "value", "moves", "from step", "rate"],
      ...planned.fates.map((f) => [
        `${f.network}/${f.path}`,
        `[${f.shape.join(", ")}]`,
        f.from === undefined || f.from === f.path ? f.value : `${f.value} from ${f.from}`,
        f.moves,
        f.unfreezeAt ?? (f.moves === "trainable" ? 0 : ""),
        f.lr === undefined ? "" : `× ${f.lr}`,
      ]),
    ]),
    ...(planned.choices.length === 0
      ? []
      : [`chosen for ${counted.images ?? "a hundred"} images:`, choicesOf(planned.choices)]),
    `recipe ${planned.recipe}, ${steps} steps: ${total} parameters; ${copied} copied, ${fresh} fresh; ${frozen} frozen (${modulated} of them modulated), ${trainable} trainable`,
    ...(["generator", "discriminator"] as const).flatMap((net) => {
      const left = planned.unused[net]
      const shown = `${left.slice(0, 4).join(", ")}${left.length > 4 ? ", …" : ""}`
      return left.length === 0 ? [] : [`nothing is taken from ${left.length} of the source's in the ${net}: ${shown}`]
    }),
    ...(head === undefined
      ? []
      : [
          `small head of ${head.blocks} style ${head.blocks === 1 ? "block" : "blocks"}, ${head.start}: features of deviation ${head.scale}${head.range === undefined ? "" : ` (channels ${head.range[0]} to ${head.range[1]})`}, gradient ${head.gradient}`,
        ]),
    ...planned.warnings.map((warning) => `beware: ${warning}`),
  ].join("\n")
  return { json: { run: out ?? null, metrics: [], seconds: 0, dryRun: true, ...planned }, text }
}

export const transfer: Verb.Verb<typeof shape> = {
  name: "transfer",
  about: "a pretrained GAN and images become a generator for those images",
  flags: [
    ["--source <model>", "a model folder or a run"],
    ...Training.flags,
    ["--steps <n>", "iterations in all (default: from the number of images, 1500 to 6000)"],
    ["--preset <name>", "paper: the authors' constants wherever the defaults here are others"],
    [
      "--recipe <name>",
      "adafm (default), adafm-25 (the authors' protocol for 25 images; default under 50), gMdN-adafm, gMdN, gMdN-random, gMdN-shuffled, scratch; finetune, freeze-d, freeze-g, l2-sp, ewc, distillation, minegan (see @adafm/baselines)",
    ],
    ["--plan <file>", "a plan of one's own in YAML: path patterns and what becomes of them"],
    ["--keep-g <m>", "groups of the generator that stay, counted from the image"],
    ["--keep-d <n>", "groups of the discriminator that stay"],
    [
      "--head <name>",
      "above the kept groups: small (the paper's style blocks; default of `adafm` on a GP-GAN) or gp (the source's layers)",
    ],
    [
      "--graft <how>",
      "a small head begins with the source's own features, measured (calibrated, default), or the authors' constants",
    ],
    [
      "--head-gradient <share>",
      "share of the gradient that passes back into a small head (default 1e-5, as in the paper)",
    ],
    ["--z-dim <n>", "width of a small head's latents (default: the source's)"],
    ["--max-saturation <share>", "a new head whose first images are blacker and whiter than this stops (default 0.2)"],
    ["--modulation <name>", MODULATIONS.join(", ")],
    ["--rank <n>", "of low-rank (default 4)"],
    ["--kept <how>", "the kept groups stay `frozen` (default), or are only where training begins (`trained`)"],
    ["--regulariser-weight <n>", "of l2-sp, ewc or distillation in place of the published one"],
    ["--modulate-d", "the kept filters of the discriminator are modulated too"],
    ["--fresh-d", "the discriminator begins anew, whatever the recipe keeps: for a source that is a generator alone"],
    ["--modulation-rate <factor>", "times the learning rate, for the modulation (default 1)"],
    ["--unfreeze-at <step>", "when the modulation begins to train (default: after a sixth of the steps)"],
    [
      "--top <what>",
      "GP-GAN's first and last layer: the source's own, as its unconditional `view` (default; every class of the target begins as the average one), or `fresh`",
    ],
    ["--copy <what>", "`whole body` (default) or `only frozen` groups take the source's values"],
    ["--penalty-mode <images>", "real (default), real_fake, none"],
    ["--reference <images>", "images that scores compare with (default: those of --data that are left over)"],
    ["--raw", "a source run's generator as it is trained, not its moving average"],
    ["--dry-run", "print the fate of every parameter and the counts, run nothing"],
  ],
  shape,
  read: Settings.gather,
  run: async ({ options, terminal }) => {
    if (options.dryRun) return dryRun(options)
    const { data, out } = options
    if (data === undefined || out === undefined) return usage("--data and --out are needed")
    const surgery = await surgeryOf(options)
    const { Transfer } = await import("@adafm/job")
    const engine = await engineOf(options)
    const progress = terminal.progress("steps")
    const outcome = await orFail(
      Transfer.run(
        {
          ...Training.options({ ...surgery, data, out }, terminal, progress),
          source: options.source,
          penalty: penaltyOf(options),
          onChoices: (choices, { images }) => {
            if (choices.length > 0) terminal.note(`chosen for ${images} images:\n${choicesOf(choices)}`)
          },
        },
        engine,
      ),
    ).finally(progress.stop)
    return Training.answer(outcome, outcome.wanted)
  },
}
