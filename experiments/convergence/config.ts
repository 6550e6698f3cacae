/**
 * RQ2, and the main comparison that other experiments build on: from scratch, fine-tuned, low groups frozen, small head, AdaFM.
 * `pnpm exp convergence --profile standard` · about 13 minutes a cell on one core, 18 cells for each target · KID-768 and the
 * iterations to preset levels.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

export const experiment: Experiment.Input = {
  name: "convergence",
  title: "What a source is worth: scores and speed",
  rq: "RQ2",
  question:
    "All variants have the same data, latents and steps; each adds one part of the paper's method to the variant before. Which is best at its best checkpoint, and how many " +
    "iterations and seconds does each take to preset levels of KID? Speed is compared between variants of the same architecture only.",
  variants: [...MainVariants.all, MainVariants.scratchSmall],
  claims: [
    { id: "source-helps", of: "E5", text: "Our method beats a start from scratch", better: "adafm", than: "scratch" },
    {
      id: "beats-finetune",
      of: "E5",
      text: "Our method beats fine-tuning everything",
      better: "adafm",
      than: "finetune",
    },
    {
      id: "finetune-helps",
      text: "Fine-tuning beats a start from scratch",
      better: "finetune",
      than: "scratch",
    },
    {
      id: "freezing-helps",
      of: "E6",
      text: "Freezing the low groups beats training everything",
      better: "frozen",
      than: "finetune",
    },
    {
      id: "small-head-helps",
      of: "E6",
      text: "The small head beats the source's own high-level layers",
      better: "small",
      than: "frozen",
    },
    { id: "adafm-helps", of: "E6", text: "AdaFM improves on the small head alone", better: "adafm", than: "small" },
    {
      id: "sooner-finetune",
      of: "E10",
      text: "Fine-tuning, which begins from the source, comes as near to photographs as the source's own images sooner than a start from scratch",
      better: "finetune",
      than: "scratch",
      measure: "steps",
    },
    {
      id: "sooner-adafm",
      of: "E10",
      text: "Our method comes as near to photographs as the source's own images sooner than its own architecture from scratch",
      better: "adafm",
      than: "scratch-small",
      measure: "steps",
    },
  ],
  profiles: Profiles.of({
    smoke: ["scratch", "small", "adafm"],
    quick: ["scratch", "finetune", "frozen", "small", "adafm"],
    targets: ["flowers", "horse", "ship"],
  }),
}
