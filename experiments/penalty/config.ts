/**
 * How much does the weight of the R1 penalty matter? The rule is 10 · (size / 128)², 0.625 at 32 px. `pnpm exp penalty --profile
 * standard` · about ten minutes a cell on one idle core; the cells at 0.625 are those of the main comparison.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

/** Weights at 32 px, the rule's among them; at other sizes they scale by the rule. */
const WEIGHTS = [0.1, 0.625, 2.5, 10] as const
const RULE = 0.625
/** Turns a weight at 32 px into one at 128 px, where the rule is the paper's 10. */
const AT_128 = 10 / RULE

const at = (weight: number, variant: MainVariants.Variant): MainVariants.Variant => ({
  ...variant,
  id: `${variant.id}-${String(weight).replace(".", "-")}`,
  title: `${variant.title}, weight ${weight} at 32 px`,
  schedule: { ...variant.schedule, penaltyAt128: AT_128 * weight },
})

const arms = [MainVariants.scratch, MainVariants.adafm]

const profiles = Profiles.of({
  smoke: ["adafm-0-1", "adafm-10"],
  quick: ["adafm-0-1", "adafm-0-625", "adafm-2-5", "adafm-10"],
})

export const experiment: Experiment.Input = {
  name: "penalty",
  title: "How much does the weight of R1 matter?",
  question:
    "The paper's weight of 10 is for 128 px. Gradients with respect to an image grow with its number of pixels, so the weight here is 10 · (size / 128)². Would another weight be " +
    "better, and would it change what a source is worth?",
  variants: arms.flatMap((arm) => WEIGHTS.map((weight) => at(weight, arm))),
  sweeps: [
    {
      title: "weight of R1",
      axis: "weight at 32 px",
      log: true,
      series: arms.map((arm) => ({
        name: arm.title!,
        points: WEIGHTS.map((weight): [number, string] => [weight, at(weight, arm).id]),
      })),
    },
  ],
  claims: WEIGHTS.filter((weight) => weight !== RULE).map((weight) => ({
    id: `penalty-rule-over-${String(weight).replace(".", "-")}`,
    text: `Ours: the rule's weight beats ${weight} at 32 px`,
    better: at(RULE, MainVariants.adafm).id,
    than: at(weight, MainVariants.adafm).id,
  })),
  profiles,
}
