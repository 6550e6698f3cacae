/**
 * 100 images of each class, one generator for all: the label's embedding joins the latents, D answers with the row of the class.
 * `pnpm exp conditional --profile standard --source RUN@STEP` · about 14 minutes a cell on one core.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

const PER_CLASS = 100

/** Every class begins as the source's average class. */
const conditional = (variant: MainVariants.Variant, perClass: number): MainVariants.Variant => ({
  ...variant,
  id: `${variant.id}-conditional`,
  title: `${variant.title}, conditional`,
  perClass,
})

export const variants = MainVariants.all.map((variant) => conditional(variant, PER_CLASS))

const profiles = Profiles.of({
  smoke: ["scratch-conditional", "adafm-conditional"],
  quick: ["scratch-conditional", "finetune-conditional", "adafm-conditional"],
})

export const experiment: Experiment.Input = {
  name: "conditional",
  title: "Classes from a hundred images each",
  question:
    "A class-conditional generator of five classes learns from 500 photographs. KID over all classes, KID of each class, and how often a classifier trained on " +
    "photographs agrees with the class that was asked for.",
  variants,
  claims: [
    {
      id: "conditional-source",
      text: "Ours beats a start from scratch, over all classes",
      better: "adafm-conditional",
      than: "scratch-conditional",
    },
    {
      id: "conditional-finetune",
      text: "Ours beats fine-tuning everything, over all classes",
      better: "adafm-conditional",
      than: "finetune-conditional",
    },
    {
      id: "conditional-per-class",
      text: "Ours beats a start from scratch, mean over KID of each class",
      better: "adafm-conditional",
      than: "scratch-conditional",
      measure: "class-kid",
    },
    {
      id: "conditional-agreement",
      text: "Its images are recognised as their class more often",
      better: "adafm-conditional",
      than: "scratch-conditional",
      measure: "agreement",
      higher: true,
    },
  ],
  profiles,
}
