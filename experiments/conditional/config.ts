/**
 * One class-conditional generator from 100 images of each class: the label's embedding is concatenated to the latents, and D's output
 * is that of the class. `pnpm exp conditional --profile standard` · about 14 minutes a cell on one core.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

const PER_CLASS = 100

/** The variant with labels; every class begins as the source's average class. */
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
    "A class-conditional generator of five classes is trained on 500 photographs. It is scored by KID over all classes, by KID of each class, and by how often its " +
    "images are nearest to their own class mean of the training photographs.",
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
      text: "Ours beats a start from scratch, by the mean KID over classes",
      better: "adafm-conditional",
      than: "scratch-conditional",
      measure: "class-kid",
    },
    {
      id: "conditional-agreement",
      text: "Images of ours are recognised as their class more often than those from scratch",
      better: "adafm-conditional",
      than: "scratch-conditional",
      measure: "agreement",
      higher: true,
    },
  ],
  profiles,
}
