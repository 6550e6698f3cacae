/**
 * Limited data: 10, 25, 100, 500 and all images; more of D frozen for fewer images; the authors' settings for 25 images.
 * `pnpm exp limited-data --profile standard` · about 13 minutes a cell on one core.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

const AMOUNTS = [10, 25, 100, 500, "all"] as const
type Amount = (typeof AMOUNTS)[number]

/** The variant with another number of images; those with 100 images share the cells of other experiments. */
const at = (images: Amount, variant: MainVariants.Variant): MainVariants.Variant => ({
  ...variant,
  id: `${variant.id}-${images}`,
  title: `${variant.title}, ${images} images`,
  images,
})

const d = (keep: number): MainVariants.Variant => ({
  id: `adafm-d${keep}`,
  title: `ours with ${keep} groups of D frozen`,
  surgery: { generator: { keep: "middle", moves: "modulated" }, discriminator: { keep }, head: "small" },
})

/** Latents of four numbers, twice the penalty on real and fake images, all groups of D but one frozen. */
const authors25: MainVariants.Variant = {
  id: "adafm-25-settings",
  title: "the authors' settings for 25 images",
  surgery: {
    generator: { keep: "middle", moves: "modulated" },
    discriminator: { keep: 4 },
    head: "small",
    zDim: 4,
  },
  schedule: { penaltyMode: "real_fake", penaltyAt128: 20 },
  images: 25,
}

const arms = [MainVariants.scratch, MainVariants.finetune, MainVariants.adafm]

const curve = ({ id, title = id }: MainVariants.Variant) => ({
  name: title,
  points: AMOUNTS.map((images, k): [number, string] => [[10, 25, 100, 500, 1600][k]!, `${id}-${images}`]),
})

export const experiment: Experiment.Input = {
  name: "limited-data",
  title: "How few images are enough?",
  question:
    "Draws are nested: the ten images are among the 25, those among the 100. Does a source matter more with fewer images, and should more of D be frozen then?",
  variants: [
    ...AMOUNTS.flatMap((images) => arms.map((arm) => at(images, arm))),
    ...([10, 25] as const).flatMap((images) => [3, 4].map((keep) => at(images, d(keep)))),
    authors25,
  ],
  curves: ["scratch-25", "finetune-25", "adafm-25", "scratch-500", "adafm-500"],
  sweeps: [
    {
      title: "training images (the last point: the whole pool)",
      axis: "images",
      log: true,
      series: arms.map(curve),
    },
  ],
  claims: [
    {
      id: "e7-few",
      of: "E5",
      text: "With 100 images ours beats a start from scratch",
      better: "adafm-100",
      than: "scratch-100",
    },
    {
      id: "e7-very-few",
      of: "E7",
      text: "With 25 images ours beats a start from scratch",
      better: "adafm-25",
      than: "scratch-25",
    },
    {
      id: "e7-ten",
      of: "E7",
      text: "With ten images ours beats fine-tuning everything",
      better: "adafm-10",
      than: "finetune-10",
    },
    {
      id: "e7-more-d",
      of: "E7",
      text: "With 25 images more of D should be frozen",
      better: "adafm-d4-25",
      than: "adafm-25",
    },
    {
      id: "e8-settings",
      of: "E8",
      text: "With 25 images the authors' settings for them beat the usual ones",
      better: "adafm-25-settings",
      than: "adafm-25",
    },
  ],
  profiles: Profiles.of({
    smoke: ["scratch-10", "adafm-10", "adafm-25-settings"],
    quick: ["scratch-10", "adafm-10", "scratch-25", "adafm-25", "scratch-100", "adafm-100"],
  }),
}
