import { Flat } from "@adafm/core"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { describe, expect, test } from "vitest"
import * as LeCam from "../src/losses/LeCam.ts"

const scalar = (t: tf.Tensor | undefined): number => t!.arraySync() as number
const logits = { real: tf.tensor1d([2, -1]), fake: tf.tensor1d([0.5, -3]) }

describe("the LeCam regulariser", () => {
  /** α_R = 1, α_F = -2: reals exceed α_F by 4 and 1, fakes fall short of α_R by 0.5 and 4. */
  test("is λ times the squared distances of reals above α_F and of fakes below α_R", () => {
    const value = LeCam.penalty({ weight: 0.3 }, logits, { real: tf.scalar(1), fake: tf.scalar(-2) })
    expect(scalar(value)).toBeCloseTo(0.3 * ((16 + 1) / 2 + (0.25 + 16) / 2), 5)
  })

  test("is 0 if reals are below α_F and fakes above α_R", () => {
    expect(scalar(LeCam.penalty({ weight: 1 }, logits, { real: tf.scalar(-4), fake: tf.scalar(3) }))).toBe(0)
  })

  test("compares with moving averages that include the current batch and are corrected for their start at 0", () => {
    const { discriminatorLoss, move, inputs, moving } = LeCam.extras({ weight: 1, decay: 0.9 })
    const image = tf.zeros([2, 1, 1, 3]) as tf.Tensor4D
    const judgedAt = (step: number, state: Record<string, tf.Tensor>) => ({
      state,
      batch: Flat.map(inputs!(step), ({ data }) => tf.scalar(data[0]!)),
      logits,
      params: {},
      resolved: {},
      seen: { real: image, fake: image },
    })
    const first = judgedAt(0, Flat.map(moving!, ({ data }) => tf.scalar(data[0]!)) as Record<string, tf.Tensor>)
    const [alphaR, alphaF] = [0.5, -1.25]
    const relu2 = (x: number): number => Math.max(0, x) ** 2
    const expected = (relu2(2 - alphaF) + relu2(-1 - alphaF)) / 2 + (relu2(alphaR - 0.5) + relu2(alphaR + 3)) / 2
    expect(scalar(discriminatorLoss!(first))).toBeCloseTo(expected, 5)
    const moved = move!(first).state as Record<string, tf.Tensor>
    expect(scalar(moved["lecam/real"])).toBeCloseTo(0.1 * 0.5, 6)
    // the same batch again: the corrected averages do not change
    expect(scalar(discriminatorLoss!(judgedAt(1, moved)))).toBeCloseTo(expected, 4)
  })

  test("sends no gradient through the averages", () => {
    const { discriminatorLoss } = LeCam.extras({ weight: 1, decay: 0 })
    const image = tf.zeros([2, 1, 1, 3]) as tf.Tensor4D
    const state = { "lecam/real": tf.scalar(0), "lecam/fake": tf.scalar(0) }
    const gradient = tf.grad((real) =>
      discriminatorLoss!({
        state,
        batch: { "lecam/correction": tf.scalar(1) },
        logits: { real, fake: logits.fake },
        params: {},
        resolved: {},
        seen: { real: image, fake: image },
      }),
    )(logits.real)
    // d/dx of (x - α_F)²/2 for each, α_F = -1.25; through α_R there would be more
    const found = gradient.arraySync() as number[]
    expect(found[0]).toBeCloseTo(2 + 1.25, 5)
    expect(found[1]).toBeCloseTo(-1 + 1.25, 5)
  })
})
