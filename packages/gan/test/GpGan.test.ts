import "@tensorflow/tfjs-backend-cpu"
import { Flat, Grad, Leaf, Ops } from "@adafm/core"
import { Close, Shared } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as GpGan from "../src/architectures/GpGan.ts"
import * as AdversarialLoss from "../src/losses/AdversarialLoss.ts"
import * as GradientPenalty from "../src/losses/GradientPenalty.ts"
import * as Fixture from "./Fixture.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

const config = (fixture: Fixture.Fixture): GpGan.Config => {
  const { resolution, nf, nf_max, z_dim, embed, nlabels } = fixture.config
  return GpGan.Config.parse({
    architecture: "gpgan",
    resolution,
    nf,
    z_dim,
    embed,
    nlabels,
    ...(nf_max !== undefined && { nf_max }),
  })
}

/** Tolerances of the fixtures' README: images, logits, losses 2e-5, input gradient 1e-5, parameter gradients 3e-4. */
describe.each(["32", "64-nfmax"])("GP-GAN equals the authors' at %s", (name) => {
  const file = `fixtures/gpgan/forward.${name}.safetensors`

  test.skipIf(Shared.missing(file))("in images, logits, penalties and all gradients", async () => {
    const fixture = await Fixture.read(file)
    const gan = GpGan.of(config(fixture))
    const [g, d] = [Fixture.params(fixture, "generator"), Fixture.params(fixture, "discriminator")]
    const [z, y, x] = [
      Fixture.vector(fixture, "in/z"),
      Fixture.vector(fixture, "in/y"),
      Fixture.images(fixture, "in/x"),
    ]
    const weight = Number(fixture.config.reg_weight)
    const close = (actual: tf.Tensor, expected: tf.Tensor, tolerance: number): void =>
      expect(Close.relative(Fixture.values(actual), Fixture.values(expected))).toBeLessThan(tolerance)
    const grads = (actual: Flat.Flat<tf.Tensor>, prefix: string): void => {
      const expected = Fixture.params(fixture, prefix)
      expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort())
      for (const [path, gradient] of Object.entries(actual))
        expect(Close.relative(Fixture.values(gradient), Fixture.values(expected[path]!)), path).toBeLessThan(3e-4)
    }

    const fake = gan.generate(g, { z, y })
    close(fake, Fixture.images(fixture, "out/image"), 2e-5)
    const between = gan.generate(g, { z, y: Fixture.vector(fixture, "in/y_float") })
    close(between, Fixture.images(fixture, "out/image_y_float"), 2e-5)

    const { value, grad } = Grad.valueAndInputGrad((x) => gan.discriminate(d, x, y), x)
    close(value, Fixture.vector(fixture, "out/logit"), 2e-5)
    close(GpGan.logits(gan.config, d, x), Fixture.vector(fixture, "out/logits_all"), 2e-5)
    close(grad, Fixture.images(fixture, "out/input_grad"), 1e-5)
    close(Ops.squaredNorms(grad), Fixture.vector(fixture, "out/r1_per_image"), 2e-5)

    const gStep = Grad.valueAndGrads(
      (p) => ({ loss: AdversarialLoss.generator(gan.discriminate(d, gan.generate(p, { z, y }), y)) }),
      g,
    )
    close(gStep.loss, Fixture.vector(fixture, "loss/g"), 2e-5)
    grads(gStep.grads, "grad_g")

    const dStep = (penalty: GradientPenalty.Config, withLoss: boolean) =>
      Grad.valueAndGrads(
        (p) => {
          const discriminate = (x: tf.Tensor): tf.Tensor => gan.discriminate(p, x, y)
          const real = GradientPenalty.withLogits(discriminate, x, GradientPenalty.isOn(penalty, "real"), weight)
          const fakes = GradientPenalty.withLogits(discriminate, fake, GradientPenalty.isOn(penalty, "fake"), weight)
          const loss = AdversarialLoss.discriminator(real.logits, fakes.logits)
          const terms = [...(withLoss ? [loss] : []), real.penalty, fakes.penalty].filter((t) => t !== undefined)
          return {
            loss: terms.reduce((a, b) => tf.add(a, b)),
            also: { loss, real: real.penalty!, ...(fakes.penalty && { fake: fakes.penalty }) },
          }
        },
        d,
        "zeros",
      )
    const only = dStep({ mode: "real", weight }, false)
    grads(only.grads, "grad_d_r1_only")
    const usual = dStep({ mode: "real", weight }, true)
    grads(usual.grads, "grad_d")
    close(usual.also.loss!, Fixture.vector(fixture, "loss/d"), 2e-5)
    close(usual.also.real!, Fixture.vector(fixture, "loss/r1_real"), 2e-5)
    const both = dStep({ mode: "real_fake", weight }, true)
    grads(both.grads, "grad_d_real_fake")
    close(both.also.fake!, Fixture.vector(fixture, "loss/r1_fake"), 2e-5)
  })
})

/** Counted on the authors' modules. */
test.each([
  { name: "the ImageNet source", nlabels: 1000, embed: 256, generator: 100_535_747, discriminator: 108_260_776 },
  { name: "a target copy", nlabels: 1, embed: 1, generator: 96_101_828, discriminator: 91_892_161 },
])("$name has the published number of parameters", ({ generator, discriminator, nlabels, embed }) => {
  const gan = GpGan.of(GpGan.Config.parse({ architecture: "gpgan", nlabels, embed }))
  expect(Leaf.count(gan.generator)).toBe(generator)
  expect(Leaf.count(gan.discriminator)).toBe(discriminator)
  expect(gan.generator["resnet_3_0.conv_s.weight"]!.shape).toEqual([256, 512, 1, 1])
  expect(gan.discriminator["resnet_0_1.conv_1.weight"]!.shape).toEqual([128, 64, 3, 3])
})

test("an unconditional generator takes no label and equals label 0", () => {
  const gan = GpGan.of(GpGan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, z_dim: 3, embed: 2 }))
  const params = Flat.map(Leaf.initAll(gan.generator, 0, "generator"), ({ data, shape }) =>
    tf.tensor(data, shape.length === 4 ? [shape[2]!, shape[3]!, shape[1]!, shape[0]!] : [...shape]),
  )
  const z = tf.randomNormal([2, 3], 0, 1, "float32", 1)
  const [a, b] = [gan.generate(params, { z }), gan.generate(params, { z, y: tf.tensor1d([0, 0], "int32") })]
  expect(a.shape).toEqual([2, 16, 16, 3])
  expect(Close.relative(Fixture.values(a), Fixture.values(b))).toBeLessThan(1e-6)
})

test("an unknown key or resolution in a configuration is refused", () => {
  expect(GpGan.Config.safeParse({ architecture: "gpgan", nfilter: 64 }).success).toBe(false)
  expect(GpGan.Config.safeParse({ architecture: "gpgan", resolution: 100 }).success).toBe(false)
})
