import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Flat, NdArray, Safetensors } from "@adafm/core"
import * as Onnx from "@adafm/engine/backends/Onnx"
import { Close, Shared } from "@adafm/testkit"
import { Import } from "@adafm/transfer"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Model from "../src/run/Model.ts"
import * as Sampler from "../src/run/Sampler.ts"
import * as Export from "../src/verbs/Export.ts"
import * as Forward from "../src/verbs/Forward.ts"
import * as Recorded from "./recorded.ts"

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-forward-"))
})
afterAll(() => rm(folder, { recursive: true }))

const engine = Onnx.create({ threads: 1 })

const evaluate = async (
  model: string,
  net: Forward.Options["net"],
  tensors: Flat.Flat<NdArray.NdArray>,
  more: Partial<Forward.Options> = {},
): Promise<Flat.Flat<NdArray.NdArray>> => {
  const [inputs, out] = [join(folder, "inputs.safetensors"), join(folder, "out.safetensors")]
  await Failure.orThrow(Safetensors.write(inputs, tensors))
  await Failure.orThrow(Forward.run({ model, net, inputs, out, ...more }, await engine))
  return (await Failure.orThrow(Safetensors.read(out))).tensors
}

const close = (actual: NdArray.NdArray | undefined, expected: NdArray.NdArray | undefined, tolerance: number): void => {
  expect(actual?.shape).toEqual(expected?.shape)
  expect(Close.relative(NdArray.toFloat32(actual!).data, NdArray.toFloat32(expected!).data)).toBeLessThan(tolerance)
}

/** Tolerances of the fixtures' README. */
describe.each(["32", "64-nfmax", "128"])("an imported GP-GAN at %s", (name) => {
  const file = `fixtures/gpgan/forward.${name}.safetensors`

  test.skipIf(Shared.missing(file))("returns the authors' images, logits and gradients", async () => {
    const { tensors, file: path } = await Recorded.read(file)
    const model = join(folder, name)
    await Failure.orThrow(Import.importModel({ files: [path], out: model }))
    const given = Flat.under(tensors, "in")
    const made = await evaluate(model, "generator", given)
    close(made.image, tensors["out/image"], 2e-5)
    close(made.image_y_float, tensors["out/image_y_float"], 2e-5)
    const { y: _, ...between } = given
    close((await evaluate(model, "generator", between)).image, tensors["out/image_y_float"], 2e-5)
    const judged = await evaluate(model, "discriminator", given, { grad: true })
    close(judged.logit, tensors["out/logit"], 2e-5)
    close(judged.input_grad, tensors["out/input_grad"], 1e-5)
    close(judged.r1_per_image, tensors["out/r1_per_image"], 2e-5)
  })
})

describe.each(["32", "128"])("an imported generator with small head and AdaFM at %s", (name) => {
  const file = `fixtures/gpgan/adafm.${name}.safetensors`

  test.skipIf(Shared.missing(file))("makes the authors' images, also from the exported file", async () => {
    const path = Shared.path(file)!
    const { tensors } = await Failure.orThrow(Safetensors.read(path))
    const model = join(folder, `adafm-${name}`)
    await Failure.orThrow(Import.importModel({ files: [path], out: model }))
    const made = await evaluate(model, "generator", Flat.under(tensors, "in"))
    close(made.image, tensors["out/image"], 2e-5)
    const sampled = await Failure.orThrow(
      Sampler.images(await Failure.orThrow(Model.open(model)), await engine, 0, [0, 1, 2]),
    )
    expect(sampled.shape).toEqual([3, ...made.image!.shape.slice(1)])
    const { maxAbsDiff, inputs } = await Failure.orThrow(
      Export.run({ model, onnx: join(folder, "small.onnx"), seed: 0 }, await engine),
    )
    expect(maxAbsDiff).toBeLessThan(1e-4)
    expect(inputs["noise/0"]).toEqual(tensors["in/noise/0"]!.shape.slice(1))
  })
})

const faces = "data/checkpoints/dcgan-celeba32/dcgan-celeba32.expected.safetensors"

/** PyTorch's own float32 outputs; 1e-4 of the largest value. */
test.skipIf(Shared.missing(faces))(
  "a published DCGAN gives PyTorch's values, with either batch statistics",
  async () => {
    const { tensors } = await Failure.orThrow(Safetensors.read(Shared.path(faces)!))
    const model = join(folder, "faces")
    const part = (net: string): string => Shared.path(`data/checkpoints/dcgan-celeba32/${net}.pt`)!
    await Failure.orThrow(
      Import.importModel({ generator: part("generator"), discriminator: part("discriminator"), out: model }),
    )
    const z = tensors.z!
    const stored = await evaluate(model, "generator", { z })
    close(stored.image, tensors["generator.eval.image"], 1e-4)
    const own = await evaluate(model, "generator", { z }, { batchNorm: "batch" })
    close(own.image, tensors["generator.train.image"], 1e-4)
    const judge = async (x: NdArray.NdArray, batchNorm: "stored" | "batch") =>
      (await evaluate(model, "discriminator", { x }, { batchNorm })).logit
    close(
      await judge(tensors["generator.eval.image"]!, "stored"),
      tensors["discriminator.eval.logit_of_generator_eval"],
      1e-4,
    )
    close(
      await judge(tensors["generator.train.image"]!, "batch"),
      tensors["discriminator.train.logit_of_generator_train"],
      1e-4,
    )
  },
)

test.skipIf(Shared.missing(faces))("inputs that do not fit are refused, and the failure names them", async () => {
  const model = join(folder, "faces")
  const failure = (tensors: Flat.Flat<NdArray.NdArray>) =>
    evaluate(model, "generator", tensors).then(
      () => undefined,
      (thrown) => Failure.fromThrown(thrown),
    )
  expect(await failure({})).toMatchObject({ _tag: "BadInput", path: "z" })
  expect(await failure({ z: NdArray.zeros("float32", [2, 7]) })).toMatchObject({
    _tag: "BadInput",
    path: "z",
    message: "expected [N, 100], found [2, 7]",
  })
})
