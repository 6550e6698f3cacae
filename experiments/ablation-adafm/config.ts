/**
 * RQ3: what does AdaFM add to frozen filters, and would another modulation do as well? `pnpm exp ablation-adafm --profile standard`
 * · about 12 minutes a cell on one core; all variants branch from one checkpoint at `unfreezeAt`, so that the cells of a draw are
 * paired.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

type Modulation = NonNullable<NonNullable<MainVariants.Variant["surgery"]>["modulation"]>

const low = { keep: "middle", moves: "modulated" } as const
const still = { keep: "middle" } as const

const member = (id: string, title: string, modulation: Modulation): MainVariants.Variant => ({
  id,
  title,
  surgery: { generator: low, discriminator: still, head: "small", modulation },
})

const family = [
  member("scale", "scale alone, γ of every filter plane", { kind: "scale" }),
  member("shift", "shift alone, β of every filter plane", { kind: "shift" }),
  member("filter-selection", "filter selection: one scale of each output filter", { kind: "filter-selection" }),
  member("feature-statistics", "scale and shift of feature maps (BSA)", { kind: "feature-statistics" }),
  member("rank-one", "weight (de)modulation, rank one", { kind: "rank-one" }),
  member("low-rank", "low-rank correction, rank 4 (LoRA)", { kind: "low-rank", rank: 4 }),
  member("kml", "kernel modulation (KML)", { kind: "kml" }),
  member("mfilm", "modified FiLM", { kind: "mfilm" }),
  member("input-conditioned", "modulation from the input", { kind: "input-conditioned" }),
  member("fine-tuning", "the same filters fine-tuned", { kind: "fine-tuning" }),
]

/** At one rate a scale, which begins at 1, changes the filters a tenth as much as a shift, which begins at 0: it hardly learns. */
const fast = (variant: MainVariants.Variant): MainVariants.Variant => ({
  ...variant,
  id: `${variant.id}-fast`,
  title: `${variant.title}, at ten times the rate`,
  schedule: { ...variant.schedule, modulationRate: 10 },
})

/** The modulations that are only, or mostly, scales. */
const scales = family.filter(({ id }) => ["scale", "filter-selection", "feature-statistics", "rank-one"].includes(id))

export const experiment: Experiment.Input = {
  name: "ablation-adafm",
  title: "What does AdaFM add?",
  rq: "RQ3",
  question:
    "All variants share one run until the modulation begins; then each adapts the frozen filters in its own way, or not at all. Which is best, and is the kind of " +
    "modulation the reason, or its place, its start or its learning rate?",
  variants: [
    MainVariants.small,
    MainVariants.adafm,
    ...family,
    { ...fast(MainVariants.adafm), title: "AdaFM, γ and β at ten times the rate" },
    ...scales.map(fast),
    { ...MainVariants.adafm, id: "adafm-from-0", title: "AdaFM from step 0", schedule: { unfreezeAt: 0 } },
    {
      id: "adafm-gp",
      title: "AdaFM under the source's own head",
      surgery: { generator: low, discriminator: still },
    },
    MainVariants.frozen,
    MainVariants.finetune,
    {
      id: "adafm-d",
      title: "AdaFM in G and D",
      surgery: { generator: low, discriminator: low, head: "small" },
    },
  ],
  curves: ["small", "adafm", "adafm-fast", "filter-selection", "fine-tuning"],
  analysed: ["adafm"],
  claims: [
    { id: "e4-adafm-helps", of: "E4", text: "AdaFM beats the same run without it", better: "adafm", than: "small" },
    {
      id: "e4-fast-helps",
      of: "E4",
      text: "AdaFM at ten times the rate beats the run without it",
      better: "adafm-fast",
      than: "small",
    },
    {
      id: "e4-over-fs",
      of: "E4",
      text: "AdaFM beats filter selection",
      better: "adafm",
      than: "filter-selection",
    },
    {
      id: "e4-over-modulation",
      of: "E4",
      text: "AdaFM beats weight (de)modulation",
      better: "adafm",
      than: "rank-one",
    },
    { id: "e4-over-bsa", of: "E4", text: "AdaFM beats BSA", better: "adafm", than: "feature-statistics" },
    ...scales.map(
      ({ id, title }): Experiment.Claim => ({
        id: `e4-over-${id}-fast`,
        of: "E4",
        text: `AdaFM beats "${title}, at ten times the rate"`,
        better: "adafm",
        than: `${id}-fast`,
        measure: "kid",
        higher: false,
      }),
    ),
    { id: "e4-over-scale", text: "The shift matters: AdaFM beats the scale alone", better: "adafm", than: "scale" },
    { id: "e4-over-shift", text: "The scale matters: AdaFM beats the shift alone", better: "adafm", than: "shift" },
    { id: "e4-over-low-rank", text: "AdaFM beats a low-rank correction", better: "adafm", than: "low-rank" },
    {
      id: "e4-over-fine-tuning",
      text: "AdaFM beats fine-tuning the same filters",
      better: "adafm",
      than: "fine-tuning",
    },
    { id: "e4-later", text: "AdaFM from a later step beats AdaFM from step 0", better: "adafm", than: "adafm-from-0" },
    { id: "e4-gp", text: "AdaFM helps under the source's own head too", better: "adafm-gp", than: "frozen" },
    {
      id: "e3-with-adafm",
      of: "E3",
      text: "With AdaFM under both: the small head beats the source's own high-level layers",
      better: "adafm",
      than: "adafm-gp",
    },
    {
      id: "e5-gp-over-finetune",
      of: "E5",
      text: "AdaFM under the source's own head beats fine-tuning everything",
      better: "adafm-gp",
      than: "finetune",
    },
  ],
  profiles: Profiles.of({
    smoke: ["small", "adafm", "filter-selection", "adafm-from-0"],
    quick: ["small", "adafm", "adafm-fast", "filter-selection", "feature-statistics", "low-rank"],
  }),
}
