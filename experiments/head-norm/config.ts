/**
 * Constants in the last norm of the small head, or the mean and deviation of each sample, as in the paper? `pnpm exp head-norm
 * --profile standard` · about ten minutes a cell on one idle core; the cells of the first version are those of the main comparison.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

const arms = [
  { name: "frozen filters", variant: MainVariants.small },
  { name: "AdaFM", variant: MainVariants.adafm },
] as const

const [authors, measured] = (["authors", "measured"] as const).map(
  (norm) => (variant: MainVariants.Variant) => MainVariants.headNorm(norm, variant),
) as [(variant: MainVariants.Variant) => MainVariants.Variant, (variant: MainVariants.Variant) => MainVariants.Variant]

const ids = (variants: readonly MainVariants.Variant[]): string[] => variants.map(({ id }) => id)

export const experiment: Experiment.Input = {
  name: "head-norm",
  title: "What should the small head normalise with?",
  question:
    "The paper's small head ends in a layer that gives every channel of every sample zero mean and unit deviation, so what differs between samples in brightness and colour is lost. Constants measured over " +
    "latents let it pass. Under both, the scale is now measured as it is used, and the layer trains in proportion to it; variants without a norm in their title are of the first version, which did neither.",
  variants: arms.flatMap(({ variant }) => [variant, authors(variant), measured(variant)]),
  claims: arms.flatMap(({ name, variant }): readonly Experiment.Claim[] => {
    const claim = { measure: "kid", higher: false } as const
    const better = measured(variant).id
    return [
      {
        ...claim,
        id: `norm-measured-${variant.id}`,
        text: `${name}: the measured norm beats the authors' norm`,
        better,
        than: authors(variant).id,
      },
      {
        ...claim,
        id: `norm-first-${variant.id}`,
        text: `${name}: the measured norm beats the first version`,
        better,
        than: variant.id,
      },
      {
        id: `norm-variety-${variant.id}`,
        text: `${name}: samples vary more under the measured norm than under the authors'`,
        better,
        than: authors(variant).id,
        measure: "diversity",
        higher: true,
      },
    ]
  }),
  profiles: Profiles.of({
    smoke: ids([authors(MainVariants.adafm), measured(MainVariants.adafm)]),
    quick: ids(arms.flatMap(({ variant }) => [authors(variant), measured(variant)])),
  }),
}
