/** How much of an experiment each profile runs: schedules, scores, draws and targets that most experiments share. */
import type * as Experiment from "./Experiment.ts"

/** DiffAugment of colour and translation, in every variant: the project's default for few images. */
const augment = ["color", "translation"] as const

const schedules = {
  smoke: { steps: 6, batch: 2, unfreezeAt: 2 },
  quick: { steps: 300, augment },
  standard: { steps: 3000, augment },
  /** The authors' settings: no augmentation, AdaFM moves first in step 10,001, a moving average with constant decay. */
  paper: { steps: 60_000, learningRate: 1e-4, unfreezeAt: 10_001, constantEma: true },
} as const

const scores = {
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

/** The four profiles. An experiment names its variants for `smoke` and `quick`; `standard` and `paper` run all of them. */
export const of = ({
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
