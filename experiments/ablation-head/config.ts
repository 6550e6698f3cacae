/**
 * (f), (g) and (h) of the paper: the source's own high-level layers, the small head in their place, the small head with AdaFM.
 * `pnpm exp ablation-head --profile standard` · about 12 minutes a cell on one core.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

const low = { generator: { keep: "middle" }, discriminator: { keep: "middle" } } as const

export const experiment: Experiment.Input = {
  name: "ablation-head",
  title: "Which head goes on top of the frozen filters?",
  rq: "RQ3",
  question:
    "The high-level part of the generator trains in every variant. It is copied from the source, newly initialised, or replaced by the paper's small head of style " +
    "blocks, which begins with the scale of the source's features (measured) or with the authors' constants.",
  variants: [
    MainVariants.frozen,
    MainVariants.small,
    MainVariants.adafm,
    {
      id: "frozen-fresh",
      title: "low groups frozen, the source's head newly initialised",
      surgery: { generator: { keep: "middle", rest: "fresh" }, discriminator: { keep: "middle" } },
    },
    MainVariants.authorsTop(MainVariants.frozen),
    MainVariants.authorsTop(MainVariants.small),
    {
      id: "small-authors",
      title: "small head with the authors' constants",
      surgery: { ...low, head: "small", graft: "authors" },
    },
  ],
  claims: [
    {
      id: "e6-g-over-f",
      of: "E3",
      text: "The small head (g) beats the source's own high-level layers (f)",
      better: "small",
      than: "frozen",
    },
    {
      id: "e3-over-authors-top",
      of: "E3",
      text: "With first and last layers new, as in the authors' loader: the small head (g) beats the source's own high-level layers (f)",
      better: "small-authors-top",
      than: "frozen-authors-top",
    },
    {
      id: "e6-h-over-g",
      of: "E6",
      text: "The small head with AdaFM (h) beats the small head alone (g)",
      better: "adafm",
      than: "small",
    },
    {
      id: "e6-h-over-f",
      of: "E6",
      text: "The small head with AdaFM (h) beats the source's own high-level layers (f)",
      better: "adafm",
      than: "frozen",
    },
    {
      id: "e3-over-fresh",
      of: "E3",
      text: "The small head beats a newly initialised head of the source's architecture",
      better: "small",
      than: "frozen-fresh",
    },
    {
      id: "calibration",
      text: "On this source, a head that begins with the source's features beats one with the authors' constants",
      better: "small",
      than: "small-authors",
    },
  ],
  profiles: Profiles.of({
    smoke: ["frozen", "small", "adafm"],
    quick: ["frozen", "small", "adafm", "frozen-fresh"],
  }),
}
