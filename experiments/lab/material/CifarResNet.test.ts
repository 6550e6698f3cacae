import { Failure, NdArray, Safetensors } from "@adafm/core"
import { Session } from "@adafm/onnx"
import { Shared } from "@adafm/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as CifarResNet from "./CifarResNet.ts"

const EXPECTED = "data/checkpoints/resnet-cifar10/resnet-cifar10.expected.safetensors"
const MEAN = [0.485, 0.456, 0.406]
const STD = [0.229, 0.224, 0.225]

/** The weights are found relative to the checkout, whichever folder the tests run in. */
const before = process.cwd()
beforeAll(() => {
  if (Shared.path(EXPECTED) !== undefined) process.chdir(new URL("../../..", import.meta.url).pathname)
})
afterAll(() => process.chdir(before))

describe.skipIf(Shared.missing(EXPECTED))("the ResNets give the features and logits of PyTorch", () => {
  test.each([
    ["resnet-20", "resnet20"],
    ["resnet-56", "resnet56"],
  ] as const)("%s", async (name, prefix) => {
    const { tensors } = await Failure.orThrow(Safetensors.read(Shared.path(EXPECTED)!))
    const pixels = tensors.pixels as NdArray.NdArray<"uint8">
    const [count, h, w] = pixels.shape as [number, number, number]
    const x = NdArray.zeros("float32", [count, 3, h, w])
    for (let i = 0; i < count * h * w; i++)
      for (let c = 0; c < 3; c++) {
        const [image, place] = [Math.floor(i / (h * w)), i % (h * w)]
        x.data[(image * 3 + c) * h * w + place] = (pixels.data[3 * i + c]! / 255 - MEAN[c]!) / STD[c]!
      }
    const session = await Session.create(CifarResNet.model(await CifarResNet.read(name), name))
    const found = (await session.run({ x })) as Readonly<Record<string, NdArray.NdArray<"float32">>>
    await session.release()
    for (const what of ["features", "logits"] as const) {
      const wanted = tensors[`${prefix}.${what}`] as NdArray.NdArray<"float32">
      const worst = wanted.data.reduce((most, v, i) => Math.max(most, Math.abs(v - found[what]!.data[i]!)), 0)
      // in the reference itself float32 and float64 differ by 1.2e-5
      expect(worst, what).toBeLessThan(5e-5)
    }
  })
})
