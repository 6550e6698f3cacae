import { expect, test } from "vitest"
import * as ExperimentResults from "./ExperimentResults.ts"

const STEPS = [1000, 2000, 3000]

/** Results of two variants on several draws: for each cell the KID along its curve, or `null` if it was not run. */
const found = (better: readonly (readonly number[] | null)[], than: readonly (readonly number[] | null)[]) => {
  const entries = Object.entries({ better, than }).flatMap(([id, draws]) =>
    draws.map((_, seed) => ({ variant: { id }, target: { name: "photos" }, seed, order: { id: `${id}${seed}` } })),
  )
  const curves = { better, than }
  const results = entries.flatMap(({ variant: { id }, seed, order }) => {
    const curve = curves[id as keyof typeof curves][seed]
    return curve ? [[order.id, { metrics: {}, curve: curve.map((kid, i) => ({ step: STEPS[i], kid })) }] as const] : []
  })
  return {
    plan: { entries },
    results: new Map(results),
    // the distance of the source's own images is 0.2
    floors: new Map([["photos", { curve: { pool: 0, source: 0.2 } }]]),
  } as unknown as ExperimentResults.Results
}

const [soon, late, never] = [
  [0.3, 0.1, 0.1],
  [0.3, 0.3, 0.1],
  [0.3, 0.3, 0.3],
]

test.each([
  { name: "both arrive", better: soon, than: late, verdict: "holds", effect: 1000, pairs: 3 },
  // one checkpoint beyond the end
  { name: "one never does", better: never, than: late, verdict: "contradicted", effect: -1000, pairs: 3 },
  { name: "neither does", better: never, than: never, verdict: "undecided", effect: null, pairs: 0 },
  { name: "one was not run", better: soon, than: null, verdict: "not-tested", effect: null, pairs: 0 },
])("which variant arrives sooner: $name, $verdict", ({ better, than, ...judged }) => {
  const three = <A>(value: A): readonly A[] => [value, value, value]
  const claim = { id: "sooner", text: "", better: "better", than: "than", measure: "steps", higher: false }
  const { verdict, effect, pairs } = ExperimentResults.judge(found(three(better), three(than)), claim)
  expect({ name: judged.name, verdict, effect, pairs }).toEqual(judged)
})

test("the noise of a difference is paired where both scores recorded their resamples, and joined where not", () => {
  const result = (kid: Readonly<Record<string, unknown>>) =>
    ({ metrics: { kid: { value: 1, label: "KID", ...kid } } }) as unknown as Parameters<
      typeof ExperimentResults.pairNoise
    >[0]
  // what the photographs of a resample do to both scores cancels: differences 1, 1, 1 and 1, 2, 3
  expect(ExperimentResults.pairNoise(result({ resampled: [1, 5, 9] }), result({ resampled: [2, 6, 10] }), "kid")).toBe(
    0,
  )
  expect(
    ExperimentResults.pairNoise(result({ resampled: [1, 5, 9] }), result({ resampled: [2, 7, 12] }), "kid"),
  ).toBeCloseTo(1, 12)
  const older = result({ interval: { low: 0, high: 2 * 1.96 * 3 } })
  const other = result({ interval: { low: 0, high: 2 * 1.96 * 4 }, resampled: [1, 2, 3] })
  expect(ExperimentResults.pairNoise(older, other, "kid")).toBeCloseTo(5, 12)
})
