/**
 * Why does fine-tuning win the main contrasts? They augment, and end after 3,000 steps; the paper does neither. `pnpm exp:overfitting
 * --profile standard` · ten to twenty minutes of one core a cell, three times that for the long ones.
 */
import type * as Experiment from "../Experiment.ts"
import * as Ladder from "../Ladder.ts"

const LONG = 9000

const long = (variant: Ladder.Variant): Ladder.Variant => ({
  ...variant,
  id: `${variant.id}-long`,
  title: `${variant.title}, ${LONG.toLocaleString("en-US")} steps`,
  schedule: { ...variant.schedule, steps: LONG },
})

const arms = [Ladder.finetune, Ladder.frozen, Ladder.adafm]

/** What a setting is called in ids, and in words. */
const settings = [
  { name: "plain", says: "Without augmentation", of: Ladder.plain },
  {
    name: "plain-long",
    says: "Without augmentation, three times as long",
    of: (v: Ladder.Variant) => long(Ladder.plain(v)),
  },
  { name: "long", says: "With augmentation, three times as long", of: long },
] as const

const ids = (variants: readonly Ladder.Variant[]): string[] => variants.map(({ id }) => id)
const short = [...arms, ...arms.map(Ladder.plain)]

const profiles = Ladder.profiles({ smoke: ["finetune-plain", "adafm-plain"], quick: ids(short) })

export const experiment: Experiment.Input = {
  name: "overfitting",
  title: "Does freezing pay where training overfits?",
  question:
    "The main contrasts augment and end after 3,000 steps: settings in which a network that is fine-tuned as a whole may not overfit yet. The paper augments nothing and trains for 60,000. " +
    "Same source, images and rate here, without augmentation, and for three times as long with and without it.",
  variants: [...arms, ...settings.flatMap(({ of }) => arms.map(of))],
  curves: ids([...short, ...arms.map((arm) => long(Ladder.plain(arm)))]),
  claims: settings.flatMap(({ name, says, of }): readonly Experiment.Claim[] => {
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
        id: `e1-freezing-${name}`,
        of: "E1",
        text: `${says}: freezing the low groups beats training everything`,
        better: frozen,
        than: finetune,
      },
    ]
  }),
  // the long ones have a number of steps of their own
  profiles: { ...profiles, paper: { ...profiles.paper!, variants: ids(short) } },
}
