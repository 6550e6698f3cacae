/**
 * Does a better source make a better transfer? One architecture after four lengths of its own training; a wider and better source, for
 * which the main comparison is repeated; another domain; faces.
 * `pnpm exp sources --profile standard --source RUN@STEP` · about 13 minutes a cell on one core; RUN needs its earlier checkpoints.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

const DOSES = [0, 2000, 10_000] as const

const at = (dose: number, variant: MainVariants.Variant): MainVariants.Variant => ({
  ...variant,
  id: `${variant.id}-at-${dose}`,
  title: `${variant.title}, source of ${dose} iterations`,
  source: `@${dose}`,
})

/** A source of twice the channels and with a better KID. */
const wider = (variant: MainVariants.Variant): MainVariants.Variant => ({
  ...variant,
  id: `wider-${variant.id}`,
  title: `wider source: ${variant.title}`,
  source: "builtin:cifar32",
})

/** The source of faces has another architecture and other latents, so its variants compare only with each other. */
const faces = (variant: MainVariants.Variant): MainVariants.Variant => ({
  ...variant,
  id: `faces-${variant.id}`,
  title: `faces DCGAN: ${variant.title}`,
  source: "faces",
})
const facesOurs: MainVariants.Variant = {
  id: "adafm",
  title: "two groups of D frozen, G's filters modulated",
  surgery: { generator: { keep: 3, moves: "modulated" }, discriminator: { keep: 2 } },
}

const dosed = [MainVariants.finetune, MainVariants.frozen, MainVariants.adafm]
/** Variants of the profile's source. */
const own = [MainVariants.scratch, ...DOSES.flatMap((dose) => dosed.map((variant) => at(dose, variant))), ...dosed]

const profiles = Profiles.of({
  smoke: ["finetune-at-0", "finetune"],
  quick: ["scratch", "finetune", "adafm"],
})

export const experiment: Experiment.Input = {
  name: "sources",
  title: "Better source, better transfer?",
  rq: "RQ1",
  question:
    "The source is the same network after 0, 2,000, 10,000 and all iterations of its own training; after 0 it has the right architecture and random filters. " +
    "Is the main comparison the same from a source of twice the channels, which is nearer to its own training images?",
  variants: [
    ...own,
    ...MainVariants.all.map(wider),
    faces(MainVariants.scratch),
    faces(MainVariants.finetune),
    faces(facesOurs),
    {
      id: "procedural-adafm",
      title: "ours from a source of drawn pictures",
      surgery: MainVariants.adafm.surgery,
      needs:
        "a source trained on drawn pictures: adafm pretrain --arch gpgan --data drawn:flowers, then --source and --only",
    },
  ],
  curves: ["scratch", "adafm-at-0", "adafm-at-2000", "adafm-at-10000", "adafm"],
  claims: [
    {
      id: "sources-adafm",
      of: "E10",
      text: "Ours from the whole source beats ours from random filters",
      better: "adafm",
      than: "adafm-at-0",
    },
    {
      id: "sources-frozen",
      of: "E10",
      text: "Frozen filters of the whole source beat frozen random ones",
      better: "frozen",
      than: "frozen-at-0",
    },
    {
      id: "sources-early",
      of: "E10",
      text: "2,000 iterations of the source already help",
      better: "adafm-at-2000",
      than: "adafm-at-0",
    },
    {
      id: "sources-late",
      of: "E10",
      text: "The whole source beats its first 2,000 iterations",
      better: "adafm",
      than: "adafm-at-2000",
    },
    {
      id: "sources-wider",
      of: "E10",
      text: "Ours from the wider source beats ours from the usual one",
      better: "wider-adafm",
      than: "adafm",
    },
    {
      id: "sources-wider-finetune",
      text: "Fine-tuning from the wider source beats fine-tuning from the usual one",
      better: "wider-finetune",
      than: "finetune",
    },
    {
      id: "e5-wider-scratch",
      of: "E5",
      text: "From the wider source: ours beats a start from scratch",
      better: "wider-adafm",
      than: "wider-scratch",
    },
    {
      id: "e5-wider-finetune",
      of: "E5",
      text: "From the wider source: ours beats fine-tuning everything",
      better: "wider-adafm",
      than: "wider-finetune",
    },
    {
      id: "e6-wider-freezing",
      of: "E6",
      text: "From the wider source: freezing the low groups beats training everything",
      better: "wider-frozen",
      than: "wider-finetune",
    },
    {
      id: "e6-wider-head",
      of: "E6",
      text: "From the wider source: the small head beats the source's own high-level layers",
      better: "wider-small",
      than: "wider-frozen",
    },
    {
      id: "e6-wider-adafm",
      of: "E6",
      text: "From the wider source: AdaFM improves on the small head alone",
      better: "wider-adafm",
      than: "wider-small",
    },
    {
      id: "sources-faces",
      of: "E10",
      text: "Faces: fine-tuning beats a start from scratch",
      better: "faces-finetune",
      than: "faces-scratch",
    },
    {
      id: "sources-faces-ours",
      of: "E10",
      text: "Faces: ours beats fine-tuning",
      better: "faces-adafm",
      than: "faces-finetune",
    },
  ],
  // the other variants have sources of 32 px
  profiles: { ...profiles, paper: { ...profiles.paper!, variants: own.map(({ id }) => id) } },
}
