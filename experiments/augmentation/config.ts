/**
 * RQ5: do generated images improve a classifier? Classifiers are trained on 100 (or 25) photographs of each class, with and without
 * generated images, for the same number of steps. `pnpm exp augmentation --profile standard` · trains the generators of `conditional`,
 * then takes about two minutes a cell (five classifiers) on one core.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

const PER_CLASS = 100
const FEW = 25

type Lesson = NonNullable<MainVariants.Variant["lesson"]>

/** Trains classifiers on photographs alone, without a generator. */
const photographs = (id: string, title: string, lesson: Lesson, perClass = PER_CLASS): MainVariants.Variant => ({
  id,
  title,
  perClass,
  lesson: { ...lesson, share: 0 },
})

const taught = (
  gan: MainVariants.Variant,
  id: string,
  title: string,
  lesson: Lesson,
  perClass = PER_CLASS,
): MainVariants.Variant => ({
  ...gan,
  id: `${gan.id}-${id}`,
  title: `images of ${gan.title}: ${title}`,
  perClass,
  lesson,
})

const gans = [MainVariants.scratch, MainVariants.finetune, MainVariants.adafm]
const augmentations = ["none", "classic"] as const
const SAYS = { none: "no augmentation", classic: "classic augmentation" } as const
const shares = [0.25, 0.5] as const

const mixed = gans.flatMap((gan) =>
  augmentations.flatMap((augment) =>
    shares.map((share) =>
      taught(gan, `${augment}-${100 * share}`, `${100 * share} % of each batch, ${SAYS[augment]}`, {
        augment,
        share,
      }),
    ),
  ),
)

const over = (id: string, text: string, better: string, than: string): Experiment.Claim => ({
  id,
  of: "RQ5",
  text,
  better,
  than,
  measure: "accuracy",
  higher: true,
})

const standard = Profiles.of({
  smoke: ["real-none", "adafm-classic-50", "scratch-only"],
  quick: ["real-none", "real-classic", "scratch-classic-50", "adafm-classic-50", "adafm-only"],
})

export const experiment: Experiment.Input = {
  name: "augmentation",
  title: "Is the generator a source of knowledge?",
  rq: "RQ5",
  question:
    "A classifier of five kinds of flowers is trained on 100 photographs of each (or 25), with or without a share of generated images in each batch. The generators were " +
    "trained on the same photographs. Every classifier takes the same number of steps. Half of the held-out photographs choose its checkpoint, the other half give its accuracy.",
  variants: [
    ...augmentations.map((augment) =>
      photographs(`real-${augment}`, `photographs alone, ${SAYS[augment]}`, { augment }),
    ),
    ...mixed,
    ...gans.map((gan) => taught(gan, "only", "no photographs", { share: 1, augment: "classic" })),
    photographs("resnet", "photographs alone, ResNet-20 for CIFAR-10 fine-tuned", {
      start: "resnet-20",
      augment: "classic",
      learningRate: 3e-4,
    }),
    taught(MainVariants.adafm, "resnet-25", "25 % of each batch, ResNet-20 for CIFAR-10 fine-tuned", {
      start: "resnet-20",
      augment: "classic",
      learningRate: 3e-4,
      share: 0.25,
    }),
    photographs(
      `real-classic-${FEW}`,
      "25 photographs a class alone, classic augmentation",
      { augment: "classic" },
      FEW,
    ),
    ...gans.map((gan) =>
      taught(gan, `classic-50-of-${FEW}`, "50 % of each batch, 25 photographs a class", { share: 0.5 }, FEW),
    ),
    {
      ...photographs("all-real", "upper bound: all photographs of the pool, classic augmentation", {
        augment: "classic",
      }),
      perClass: 1000,
    },
  ],
  claims: [
    over(
      "rq5-ours-none",
      "Without augmentation: half of each batch from ours beats photographs alone",
      "adafm-none-50",
      "real-none",
    ),
    over(
      "rq5-ours-classic",
      "With classic augmentation: half of each batch from ours beats photographs alone",
      "adafm-classic-50",
      "real-classic",
    ),
    over(
      "rq5-over-scratch",
      "Images of ours improve a classifier more than those of a GAN from scratch",
      "adafm-classic-50",
      "scratch-classic-50",
    ),
    over(
      "rq5-over-finetune",
      "Images of ours improve a classifier more than those of a fine-tuned GAN",
      "adafm-classic-50",
      "finetune-classic-50",
    ),
    over(
      "rq5-only",
      "Without photographs: images of ours train a better classifier than those of a GAN from scratch",
      "adafm-only",
      "scratch-only",
    ),
    over(
      "rq5-few",
      "With 25 photographs a class: half of each batch from ours beats photographs alone",
      `adafm-classic-50-of-${FEW}`,
      `real-classic-${FEW}`,
    ),
  ],
  profiles: {
    ...standard,
    smoke: { ...standard.smoke!, lesson: { steps: 4, batch: 6, seeds: 2, generated: 4 } },
    quick: { ...standard.quick!, lesson: { steps: 200, seeds: 3, generated: 100 } },
  },
}
