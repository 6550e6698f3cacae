/** The main contrasts: what the paper adds, one thing at a time. Their cells are shared by every experiment that names them. */
import type * as Experiment from "./Experiment.ts"

export type Variant = Experiment.Input["variants"][number]

const low = { generator: { keep: "middle" }, discriminator: { keep: "middle" } } as const

export const scratch: Variant = {
  id: "scratch",
  title: "from scratch",
  surgery: { generator: { rest: "fresh" }, discriminator: { rest: "fresh" } },
}

export const finetune: Variant = { id: "finetune", title: "fine-tuned, nothing frozen (TransferGAN)" }

/** G3D2 at 32 px, G4D2 at 128. */
export const frozen: Variant = { id: "frozen", title: "low groups frozen (G3D2; G4D2 at 128 px)", surgery: low }

export const small: Variant = {
  id: "small",
  title: "low groups frozen, small head",
  surgery: { ...low, head: "small" },
}

export const adafm: Variant = {
  id: "adafm",
  title: "low groups frozen, small head, AdaFM (ours)",
  surgery: { ...low, generator: { keep: "middle", moves: "modulated" }, head: "small" },
}

export const all: readonly Variant[] = [scratch, finetune, frozen, small, adafm]

export const scratchSmall: Variant = {
  id: "scratch-small",
  title: "from scratch, small head",
  surgery: { ...scratch.surgery, head: "small" },
}

/** The same as the authors' loader leaves it: G's fc and embedding and D's fc are new. */
export const authorsTop = (variant: Variant): Variant => ({
  ...variant,
  id: `${variant.id}-authors-top`,
  title: `${variant.title}, first and last layers new (the authors' loader)`,
  surgery: {
    ...variant.surgery,
    generator: { ...variant.surgery?.generator, top: "fresh" },
    discriminator: { ...variant.surgery?.discriminator, top: "fresh" },
  },
})

/** The same without augmentation, as in the paper. */
export const plain = (variant: Variant): Variant => ({
  ...variant,
  id: `${variant.id}-plain`,
  title: `${variant.title}, no augmentation`,
  schedule: { ...variant.schedule, augment: [] },
})

/** The discriminator sees colours and places changed: the project's default for few images, in every arm alike. */
export const augment = ["color", "translation"] as const

/** The bank of the experiments: `base` for confirmation has the same, from a wider source. */
export const schedules = {
  smoke: { steps: 6, batch: 2, unfreezeAt: 2 },
  quick: { steps: 300, augment },
  standard: { steps: 3000, augment },
  /** The authors' own: no augmentation, AdaFM from 10,000 on, a moving average of one decay. */
  paper: { steps: 60_000, learningRate: 1e-4, unfreezeAt: 10_000, constantEma: true },
} as const

export const scores = {
  smoke: { extractor: "embedded", count: 12, checkpoints: 3, chosenFrom: 2, second: ["embedded"] },
  quick: { extractor: "embedded", count: 300, checkpoints: 6, chosenFrom: 2 },
  standard: { curve: "resnet-20", second: ["inception-64", "inception-192", "resnet-56"] },
  paper: {
    extractor: "inception",
    count: 8000,
    checkpoints: 12,
    chosenFrom: 12,
    second: ["inception-64", "inception-192"],
  },
} as const

/** What most experiments declare; each names its own variants for `smoke` and `quick`. */
export const profiles = ({
  smoke,
  quick,
  targets = ["flowers"],
}: {
  readonly smoke: readonly string[]
  readonly quick: readonly string[]
  readonly targets?: readonly ("flowers" | "horse" | "ship")[]
}): Experiment.Input["profiles"] => ({
  smoke: {
    seeds: 1,
    images: 10,
    source: "tiny",
    targets: ["drawn"],
    variants: [...smoke],
    schedule: schedules.smoke,
    score: scores.smoke,
  },
  quick: {
    seeds: 1,
    images: 100,
    source: "default",
    targets: ["drawn"],
    variants: [...quick],
    schedule: schedules.quick,
    score: scores.quick,
  },
  standard: {
    seeds: 3,
    images: 100,
    source: "default",
    targets: [...targets],
    schedule: schedules.standard,
    score: scores.standard,
  },
  paper: { asAuthors: true, seeds: 1, images: 1000, schedule: schedules.paper, score: scores.paper },
})
