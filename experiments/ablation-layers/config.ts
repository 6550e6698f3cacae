/**
 * RQ1: which layers of a pretrained GAN are general? `pnpm exp ablation-layers --profile standard` · ten to twenty minutes a cell on
 * one core · E1 and E2 of the paper: m groups of G with all of D trained, and n groups of D with m = 3, in both readings of what is
 * copied; G or D copied alone; controls with random and shuffled low groups, and with low groups copied and trained.
 */
import type * as Experiment from "../lab/declare/Experiment.ts"
import * as MainVariants from "../lab/declare/MainVariants.ts"
import * as Profiles from "../lab/declare/Profiles.ts"

type Network = NonNullable<NonNullable<Experiment.Input["variants"][number]["surgery"]>["generator"]>
type Variant = Experiment.Input["variants"][number]

/** The groups above the kept ones: copied in one reading of the paper (what does freezing do?), new in the other (what does transfer do?). */
const READINGS = { body: "copied", frozen: "fresh" } as const
type Reading = keyof typeof READINGS
const SAYS: Readonly<Record<Reading, string>> = { body: "whole body copied", frozen: "only frozen groups copied" }

const kept = (keep: number, reading: Reading): Network => ({ keep, rest: READINGS[reading] })

const gmdn = (m: number, n: number, reading: Reading): Variant => ({
  id: `g${m}d${n}-${reading}`,
  title: `G${m}D${n}, ${SAYS[reading]}`,
  surgery: { generator: kept(m, reading), discriminator: kept(n, reading) },
})

/** G and D have five groups at 32 px and seven at 128 px; a variant with more groups than the source has is skipped. */
const M = [1, 2, 3, 4, 5, 6, 7] as const
const N = [1, 2, 3, 4, 5, 6, 7] as const
/** The m of the sweep over n: three groups at 32 px correspond to four at 128 px. */
const MIDDLE = 3

const readings = ["body", "frozen"] as const

/** Other values or no freezing for the low groups of both networks at m = 3, n = 2, with the rest new. */
const control = (id: string, title: string, network: Omit<Network, "keep" | "rest">): Variant => ({
  id,
  title,
  surgery: {
    generator: { keep: MIDDLE, rest: "fresh", ...network },
    discriminator: { keep: 2, rest: "fresh", ...network },
  },
})

const variants: readonly Variant[] = [
  MainVariants.scratch,
  MainVariants.finetune,
  ...readings.flatMap((reading) => M.map((m) => gmdn(m, 0, reading))),
  ...readings.flatMap((reading) => N.map((n) => gmdn(MIDDLE, n, reading))),
  control("low-random-frozen", "low groups random with matched deviation, frozen", { low: "random" }),
  control("low-random-trained", "low groups random with matched deviation, trained", {
    low: "random",
    moves: "trained",
  }),
  control("low-shuffled-frozen", "low groups with shuffled kernels, frozen", { low: "shuffled" }),
  control("low-copied-trained", "low groups copied, trained", { moves: "trained" }),
  {
    id: "g-only",
    title: "G copied, D from scratch",
    surgery: { discriminator: { rest: "fresh" } },
  },
  {
    id: "d-only",
    title: "D copied, G from scratch",
    surgery: { generator: { rest: "fresh" } },
  },
]

const sweepSeries = (end: string, points: (reading: Reading) => readonly (readonly [number, string])[]) =>
  readings.map((reading) => ({
    name: SAYS[reading],
    points: [
      [0, reading === "body" ? end : "scratch"] as [number, string],
      ...points(reading).map(([x, id]) => [x, id] as [number, string]),
    ],
  }))

export const experiment: Experiment.Input = {
  name: "ablation-layers",
  title: "Which layers are general?",
  question:
    "GmDn keeps m groups of the generator's layers and n of the discriminator's, counted from the image, frozen with the source's " +
    "values. How many should be kept, and do their values help, or freezing alone?",
  variants: [...variants],
  sweeps: [
    {
      title: "G's general part: m groups of G kept, D trained",
      axis: "m, groups of G kept",
      series: sweepSeries("finetune", (reading) => M.map((m) => [m, `g${m}d0-${reading}`] as const)),
    },
    {
      title: `D's general part: n groups of D kept, ${MIDDLE} of G`,
      axis: "n, groups of D kept",
      series: readings.map((reading) => ({
        name: SAYS[reading],
        points: [0, ...N].map((n): [number, string] => [n, `g${MIDDLE}d${n}-${reading}`]),
      })),
    },
  ],
  claims: [
    {
      id: "e1-transfer-helps",
      of: "E1",
      text: "Kept low groups of G beat a start from scratch",
      better: "g3d0-frozen",
      than: "scratch",
    },
    {
      id: "e1-not-too-few",
      of: "E1",
      text: "With the rest new: a middle m beats one kept group",
      better: "g3d0-frozen",
      than: "g1d0-frozen",
    },
    {
      id: "e1-not-too-many",
      of: "E1",
      text: "A middle m beats all groups kept",
      better: "g3d0-body",
      than: "g5d0-body",
    },
    {
      id: "e1-freezing-helps",
      of: "E1",
      text: "Freezing low groups of G beats training everything",
      better: "g3d0-body",
      than: "finetune",
    },
    { id: "e2-small-n", of: "E2", text: "A small n beats training all of D", better: "g3d2-body", than: "g3d0-body" },
    { id: "e2-not-too-many", of: "E2", text: "A small n beats a large one", better: "g3d2-body", than: "g3d4-body" },
    {
      id: "e10-values-matter",
      of: "E10",
      text: "The source's low filters beat random filters with the same deviation",
      better: "g3d2-frozen",
      than: "low-random-frozen",
    },
    {
      id: "e10-arrangement-matters",
      of: "E10",
      text: "The source's low filters beat the same kernels in shuffled order",
      better: "g3d2-frozen",
      than: "low-shuffled-frozen",
    },
  ],
  profiles: Profiles.of({
    smoke: ["scratch", "g3d1-body", "g3d2-frozen", "low-random-frozen"],
    quick: [
      "scratch",
      "finetune",
      "g1d0-body",
      "g3d0-body",
      "g3d0-frozen",
      "g3d2-body",
      "g3d2-frozen",
      "low-random-frozen",
    ],
  }),
}
