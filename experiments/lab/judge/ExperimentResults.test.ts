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
