/** The compiled engine against the authors' losses, penalties and parameter gradients, computed in float64 by PyTorch. */
import { Flat, Grad, Layout } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Onnx from "@adafm/engine/backends/Onnx"
import { AdversarialLoss, GradientPenalty } from "@adafm/gan"
import { Close, Shared } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { describe, expect, test } from "vitest"
import * as Recorded from "./recorded.ts"

/** Every gradient of the fixtures from one pass over the networks. */
const gradients =
  ({ gan, penaltyWeight: weight }: Recorded.Recorded): Engine.Step =>
  (state, { x, y, z }) => {
    const [g, d] = [Flat.under(state, "generator"), Flat.under(state, "discriminator")]
    const inputs = { z: z!, y: y! }
    const generator = Grad.valueAndGrads(
      (p) => ({ loss: AdversarialLoss.generator(gan.discriminate(d, gan.generate(p, inputs), y)) }),
      g,
    )
    const fake = gan.generate(g, inputs)
    const discriminator = (mode: "real" | "real_fake", adversarial: boolean) =>
      Grad.valueAndGrads(
        (p) => {
          const judge = (images: tf.Tensor, which: "real" | "fake") =>
            GradientPenalty.withLogits(
              (i) => gan.discriminate(p, i, y),
              images,
              GradientPenalty.isOn({ mode, weight }, which),
              weight,
            )
          const [real, made] = [judge(x!, "real"), judge(fake, "fake")]
          const loss = AdversarialLoss.discriminator(real.logits, made.logits)
          const terms = [...(adversarial ? [loss] : []), real.penalty, made.penalty].filter((t) => t !== undefined)
          return {
            loss: terms.reduce((a, b) => tf.add(a, b)),
            also: { d: loss, r1_real: real.penalty!, ...(made.penalty && { r1_fake: made.penalty }) },
          }
        },
        d,
        "zeros",
      )
    const [only, usual, both] = [
      discriminator("real", false),
      discriminator("real", true),
      discriminator("real_fake", true),
    ]
    return {
      stats: Flat.merge(
        Flat.prefix({ g: generator.loss, ...both.also }, "loss"),
        Flat.prefix(generator.grads, "grad_g"),
        Flat.prefix(only.grads, "grad_d_r1_only"),
        Flat.prefix(usual.grads, "grad_d"),
        Flat.prefix(both.grads, "grad_d_real_fake"),
      ),
    }
  }

/** Tolerances of the fixtures' README: losses and R1 2e-5, parameter gradients 3e-4 of a tensor's largest value. */
describe.each(["32", "64-nfmax", "128"])("on the onnx engine, at %s", (name) => {
  const file = `fixtures/gpgan/forward.${name}.safetensors`

  test.skipIf(Shared.missing(file))("losses, R1 and all parameter gradients equal the authors'", async () => {
    const recorded = await Recorded.read(file)
    const engine = await Onnx.create({ threads: 1 })
    const found = await Recorded.once(engine, gradients(recorded), Recorded.state(recorded), Recorded.batch(recorded))
    for (const loss of ["g", "d", "r1_real", "r1_fake"])
      expect(Close.relative(found[`loss/${loss}`]!.data, recorded.at(`loss/${loss}`).data), loss).toBeLessThan(2e-5)
    for (const group of ["grad_g", "grad_d_r1_only", "grad_d", "grad_d_real_fake"]) {
      const expected = recorded.under(group)
      expect(Object.keys(Flat.under(found, group)).sort()).toEqual(Object.keys(expected).sort())
      for (const [path, { data }] of Object.entries(expected)) {
        const actual = Layout.toFile(found[`${group}/${path}`] as Recorded.Float32)
        expect(Close.relative(actual.data, data), `${group}/${path}`).toBeLessThan(3e-4)
      }
    }
  })
})
