/**
 * Why does fine-tuning win the main comparison? It tests the differences from the paper one by one: augmentation, fc and embedding
 * copied from the source, a learning rate of 2e-4, 3,000 steps. `pnpm exp finetuning --profile standard` · ten to twenty minutes a cell
 * on one core, three times that for the long ones.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

const LONG = 9000
/** The learning rate of `standard`. The others include the paper's for 128 px (1e-4) and that of the bundled sources' training (1e-3). */
const OWN = 2e-4
const FAST = 1e-3
const RATES = [1e-4, 5e-4, FAST] as const

/** Six candidates, so that an early optimum is found; the modulation begins at the same step as in the short run. */
const long = (variant: MainVariants.Variant): MainVariants.Variant => ({
  ...variant,
  id: `${variant.id}-long`,
  title: `${variant.title}, ${LONG.toLocaleString("en-US")} steps`,
  schedule: { ...variant.schedule, steps: LONG, unfreezeAt: 500 },
  score: { chosenFrom: 6 },
})

const at = (rate: number, variant: MainVariants.Variant): MainVariants.Variant =>
  rate === OWN
    ? variant
    : {
        ...variant,
        id: `${variant.id}-at-${rate.toExponential()}`,
        title: `${variant.title}, learning rate ${rate.toExponential()}`,
        schedule: { ...variant.schedule, learningRate: rate },
      }

const fast = (variant: MainVariants.Variant): MainVariants.Variant => at(FAST, variant)

/** With the paper's 1e-5 most gradients of the head are below Adam's ε, so the head learns more slowly than its learning rate suggests. */
const freeHead: MainVariants.Variant = {
  ...MainVariants.adafm,
  id: "adafm-head-1e-2",
  title: `${MainVariants.adafm.title}, a hundredth of the gradient into the head`,
  surgery: { ...MainVariants.adafm.surgery, headGradient: 1e-2 },
}

const arms = [MainVariants.finetune, MainVariants.frozen, MainVariants.adafm]
/** Variants from scratch. */
const anew = [MainVariants.scratch, MainVariants.scratchSmall]

interface Setting {
  /** Part of its claims' ids. */
  readonly name: string
  /** How its claims begin. */
  readonly says: string
  readonly of: (variant: MainVariants.Variant) => MainVariants.Variant
}

const settings: readonly Setting[] = [
  {
    name: "authors-top",
    says: "With new first and last layers, as in the authors' loader",
    of: MainVariants.authorsTop,
  },
  ...RATES.map((rate) => ({
    name: `at-${rate.toExponential()}`,
    says: `At a rate of ${rate.toExponential()}`,
    of: (variant: MainVariants.Variant) => at(rate, variant),
  })),
  { name: "plain", says: "Without augmentation", of: MainVariants.plain },
  {
    name: "plain-long",
    says: "Without augmentation, three times as long",
    of: (variant) => long(MainVariants.plain(variant)),
  },
  { name: "long", says: "With augmentation, three times as long", of: long },
]

const ids = (variants: readonly MainVariants.Variant[]): string[] => variants.map(({ id }) => id)
const short = [
  ...anew,
  ...arms,
  ...arms.map(MainVariants.authorsTop),
  ...[...anew, ...arms].map(fast),
  ...arms.map(MainVariants.plain),
]

const profiles = Profiles.of({ smoke: ["finetune-plain", "adafm-plain"], quick: ids(short) })

const rate = (variant: MainVariants.Variant): Experiment.Claim => ({
  id: `rate-${variant.id}`,
  text: `A rate of 1e-3 beats 2e-4: ${variant.title}`,
  better: fast(variant).id,
  than: variant.id,
  measure: "kid",
  higher: false,
})

export const experiment: Experiment.Input = {
  name: "finetuning",
  title: "Why does fine-tuning win?",
  question:
    "In the main comparison fine-tuning everything beats the paper's method. That comparison differs from the paper's: images are augmented, a fine-tuned network keeps the source's fc and embedding " +
    "(the authors' loader initialises them anew), all variants have one learning rate, and training ends after 3,000 steps, when a fully fine-tuned network may not overfit yet.",
  variants: [...anew, ...arms, ...anew.map(fast), freeHead, ...settings.flatMap(({ of }) => arms.map(of))],
  curves: ids([
    ...anew.map(fast),
    ...settings.flatMap(({ of }) => [of(MainVariants.finetune), of(MainVariants.adafm)]),
  ]),
  sweeps: [
    {
      title: "learning rate",
      axis: "learning rate",
      log: true,
      series: [...anew, ...arms].map((arm) => ({
        name: arm.title,
        points: [1e-4, OWN, 5e-4, FAST].flatMap((rate): [number, string][] =>
          anew.includes(arm) && rate !== OWN && rate !== FAST ? [] : [[rate, at(rate, arm).id]],
        ),
      })),
    },
  ],
  claims: [
    ...settings.flatMap(({ name, says, of }): readonly Experiment.Claim[] => {
      const [finetune, frozen, adafm] = arms.map((arm) => of(arm).id) as [string, string, string]
      const claim = { measure: "kid", higher: false } as const
      return [
        {
          ...claim,
          id: `e5-ours-${name}`,
          of: "E5",
          text: `${says}: ours beats fine-tuning everything`,
          better: adafm,
          than: finetune,
        },
        {
          ...claim,
          id: `e6-freezing-${name}`,
          of: "E6",
          text: `${says}: freezing the low groups beats training everything`,
          better: frozen,
          than: finetune,
        },
        {
          ...claim,
          id: `e6-head-${name}`,
          of: "E6",
          text: `${says}: small head and AdaFM beat the source's own high-level layers`,
          better: adafm,
          than: frozen,
        },
      ]
    }),
    {
      id: "e5-scratch-fast",
      of: "E5",
      text: "At a rate of 1e-3: ours beats a start from scratch",
      better: fast(MainVariants.adafm).id,
      than: fast(MainVariants.scratch).id,
      measure: "kid",
      higher: false,
    },
    {
      id: "e5-scratch-best",
      of: "E5",
      text: "Ours at 2e-4 beats a start from scratch at 1e-3",
      better: MainVariants.adafm.id,
      than: fast(MainVariants.scratch).id,
      measure: "kid",
      higher: false,
    },
    {
      id: "e5-own-rates",
      of: "E5",
      text: "Each at its better rate: ours at 1e-3 beats fine-tuning everything at 2e-4",
      better: fast(MainVariants.adafm).id,
      than: MainVariants.finetune.id,
      measure: "kid",
      higher: false,
    },
    ...[...anew, ...arms].map(rate),
    {
      id: "head-gradient",
      text: "Ours: a hundredth of the gradient into the head beats the paper's 1e-5",
      better: freeHead.id,
      than: MainVariants.adafm.id,
      measure: "kid",
      higher: false,
    },
    {
      id: "e5-head-gradient",
      of: "E5",
      text: "With a hundredth of the gradient into the head: ours beats fine-tuning everything",
      better: freeHead.id,
      than: MainVariants.finetune.id,
      measure: "kid",
      higher: false,
    },
  ],
  // the variants at other rates and lengths set a schedule that is not the paper's
  profiles: {
    ...profiles,
    paper: { ...profiles.paper!, variants: ids([...anew, ...arms, ...arms.map(MainVariants.authorsTop)]) },
  },
}
