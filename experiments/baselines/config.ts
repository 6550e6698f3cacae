/**
 * RQ4: other published ways on the same base: same source, steps, batch, rate and images, with and without augmentation.
 * `pnpm exp:baselines --profile standard --source RUN@STEP` · about 13 minutes a cell on one core; one draw on three targets.
 */
import type * as Experiment from "../Experiment.ts"
import * as Ladder from "../Ladder.ts"

const published = (id: string, title: string): Ladder.Variant => ({ id, title, surgery: { recipe: id } })

const stabilised = (variant: Ladder.Variant, stabiliser: "ada" | "lecam", title: string): Ladder.Variant => ({
  ...variant,
  id: `${variant.id}-${stabiliser}`,
  title: `${variant.title}, ${title}`,
  schedule: { ...variant.schedule, stabiliser, ...(stabiliser === "ada" && { augment: [] }) },
})

const freezeD = published("freeze-d", "FreezeD")
const rivals = [
  published("freeze-g", "low groups of G frozen, D fine-tuned"),
  published("l2-sp", "L2-SP"),
  published("ewc", "EWC"),
  published("distillation", "feature distillation"),
  published("minegan", "MineGAN"),
]

const low = {
  generator: { keep: "middle", moves: "modulated" },
  discriminator: { keep: "middle" },
  head: "small",
} as const

const over = (than: string, text: string): Experiment.Claim => ({
  ...{ id: `e5-over-${than}`, of: "E5", text, better: "adafm", than },
  ...{ measure: "kid", higher: false },
})

const standard = Ladder.profiles({
  smoke: ["scratch", "adafm", "freeze-d", "l2-sp"],
  quick: ["scratch", "finetune", "adafm", "freeze-d", "l2-sp", "minegan"],
  targets: ["flowers", "horse", "ship"],
})

export const experiment: Experiment.Input = {
  name: "baselines",
  title: "Against other ways to transfer",
  rq: "RQ4",
  question:
    "Every way gets the same source, images, steps and augmentation. The last lines ask whether an equal number of trained parameters elsewhere would do.",
  variants: [
    Ladder.scratch,
    Ladder.finetune,
    freezeD,
    ...rivals,
    Ladder.frozen,
    Ladder.adafm,
    Ladder.plain(Ladder.scratch),
    Ladder.plain(Ladder.finetune),
    Ladder.plain(freezeD),
    Ladder.plain(Ladder.adafm),
    stabilised(Ladder.finetune, "ada", "ADA"),
    stabilised(Ladder.adafm, "ada", "ADA"),
    stabilised(Ladder.finetune, "lecam", "LeCam"),
    {
      id: "low-rank",
      title: "low-rank correction in AdaFM's place (rank 4)",
      surgery: { ...low, modulation: { kind: "low-rank", rank: 4 } },
    },
    {
      id: "filter-selection",
      title: "one scale a filter in AdaFM's place",
      surgery: { ...low, modulation: { kind: "filter-selection" } },
    },
    Ladder.authorsTop(Ladder.finetune),
    Ladder.authorsTop(Ladder.frozen),
  ],
  curves: ["scratch", "finetune", "freeze-d", "adafm", "finetune-plain", "adafm-plain"],
  claims: [
    over("scratch", "Ours beats a start from scratch"),
    over("finetune", "Ours beats TransferGAN (fine-tuning everything)"),
    over("finetune-authors-top", "Ours beats TransferGAN as the authors load it, first and last layers new"),
    over("freeze-d", "Ours beats FreezeD"),
    over("freeze-g", "Ours beats freezing G alone"),
    over("l2-sp", "Ours beats L2-SP"),
    over("ewc", "Ours beats EWC"),
    over("minegan", "Ours beats MineGAN"),
    over("distillation", "Ours beats feature distillation"),
    { ...over("scratch-plain", "Without augmentation: ours beats a start from scratch"), better: "adafm-plain" },
    { ...over("finetune-plain", "Without augmentation: ours beats fine-tuning everything"), better: "adafm-plain" },
    { ...over("freeze-d-plain", "Without augmentation: ours beats FreezeD"), better: "adafm-plain" },
  ],
  profiles: { ...standard, standard: { ...standard.standard!, seeds: 1 } },
}
