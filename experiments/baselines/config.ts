/**
 * RQ4: other published methods under the same conditions: source, steps, batch, learning rate and images, with and without
 * augmentation. `pnpm exp baselines --profile standard` · about 13 minutes a cell on one core; one draw on three targets.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

const published = (id: string, title: string): MainVariants.Variant => ({ id, title, surgery: { recipe: id } })

const stabilised = (
  variant: MainVariants.Variant,
  stabiliser: "ada" | "lecam",
  title: string,
): MainVariants.Variant => ({
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
  id: `e5-over-${than}`,
  of: "E5",
  text,
  better: "adafm",
  than,
  measure: "kid",
  higher: false,
})

const standard = Profiles.of({
  smoke: ["scratch", "adafm", "freeze-d", "l2-sp"],
  quick: ["scratch", "finetune", "adafm", "freeze-d", "l2-sp", "minegan"],
  targets: ["flowers", "horse", "ship"],
})

export const experiment: Experiment.Input = {
  name: "baselines",
  title: "Against other transfer methods",
  rq: "RQ4",
  question:
    "Every method gets the same source, images, steps and augmentation. Two variants put another modulation in AdaFM's place.",
  variants: [
    MainVariants.scratch,
    MainVariants.finetune,
    freezeD,
    ...rivals,
    MainVariants.frozen,
    MainVariants.adafm,
    MainVariants.plain(MainVariants.scratch),
    MainVariants.plain(MainVariants.finetune),
    MainVariants.plain(freezeD),
    MainVariants.plain(MainVariants.adafm),
    stabilised(MainVariants.finetune, "ada", "ADA"),
    stabilised(MainVariants.adafm, "ada", "ADA"),
    stabilised(MainVariants.finetune, "lecam", "LeCam"),
    {
      id: "low-rank",
      title: "low-rank correction in AdaFM's place (rank 4)",
      surgery: { ...low, modulation: { kind: "low-rank", rank: 4 } },
    },
    {
      id: "filter-selection",
      title: "one scale for each filter in AdaFM's place",
      surgery: { ...low, modulation: { kind: "filter-selection" } },
    },
    MainVariants.authorsTop(MainVariants.finetune),
    MainVariants.authorsTop(MainVariants.frozen),
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
