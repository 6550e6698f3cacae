/**
 * `fixtures/inception-narrow.json` holds features and logits by PyTorch 1.13.1 on the CPU, float32, of an Inception-v3 with all
 * widths divided by 16 and 10 classes, on two inputs `[3, 299, 299]`. The network was written with `torch.nn.functional`
 * (conv2d, batch_norm with ε = 0.001, relu, max_pool2d, avg_pool2d, linear) after torchvision's `inception.py`; `fid` differs
 * as pytorch-fid's FIDInceptionA, C, E_1, E_2 do: average pools without the padding, a 3×3 max pool in Mixed_7c. Weights and
 * input are not stored: `hashed` below (a 32-bit mix of index and CRC-32 of the name) times a scale plus a shift per tensor.
 */
import { readFileSync } from "node:fs"
import { crc32 } from "node:zlib"
import { Failure, Flat, NdArray } from "@adafm/core"
import { Session } from "@adafm/onnx"
import * as E from "fp-ts/lib/Either.js"
import { describe, expect, test } from "vitest"
import * as Inception from "../src/extractors/Inception.ts"
import * as InceptionWeights from "../src/extractors/InceptionWeights.ts"

const golden = JSON.parse(readFileSync(new URL("fixtures/inception-narrow.json", import.meta.url), "utf8")) as {
  readonly tensors: Readonly<Record<string, readonly [shape: readonly number[], scale: number, shift: number]>>
  readonly expected: Readonly<Record<Inception.Network, Readonly<Record<string, readonly number[]>>>>
}

/** Uniform in [-1, 1), the same numbers as in PyTorch. */
const hashed = (name: string, n: number): Float64Array => {
  const start = crc32(name)
  return Float64Array.from({ length: n }, (_, i) => {
    let x = (i + start) >>> 0
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
    return ((x ^ (x >>> 16)) >>> 0) / 2 ** 31 - 1
  })
}
const state = Flat.fromEntries(
  Object.entries(golden.tensors).map(([path, [shape, scale, shift]]) => [
    path,
    NdArray.float32(
      shape,
      Float32Array.from(hashed(path, NdArray.sizeOf(shape)), (v) => v * scale + shift),
    ),
  ]),
)
const weights = (tensors: Flat.Flat<NdArray.NdArray> = state): Inception.Weights =>
  Failure.orThrow(InceptionWeights.fold(tensors))

describe("the whole network, sixteen times narrower, compared with PyTorch", () => {
  test.each(["fid", "torchvision"] as const)("%s: features and logits within 1e-4", async (network) => {
    const session = await Session.create(Failure.orThrow(Inception.model(weights(), 2048, network)))
    const x = NdArray.float32([2, 3, 299, 299], Float32Array.from(hashed("input", 2 * 3 * 299 * 299)))
    const got = await session.run({ x })
    await session.release()
    for (const [name, want] of Object.entries(golden.expected[network])) {
      const data = got[name]!.data as Float32Array
      const largest = Math.max(...want.map(Math.abs))
      expect(data.length).toBe(want.length)
      expect(Math.max(...want.map((v, i) => Math.abs(v - data[i]!))) / largest, name).toBeLessThan(1e-4)
    }
  })
})

describe("weights", () => {
  const failure = (tensors: Flat.Flat<NdArray.NdArray>): Failure.Failure | undefined => {
    const folded = InceptionWeights.fold(tensors)
    const either = E.isLeft(folded) ? folded : Inception.model(folded.right, 2048, "fid")
    return E.isLeft(either) ? either.left : undefined
  }
  test("a module. prefix and the auxiliary classifier make no difference", () => {
    const wrapped = Flat.fromEntries(Object.entries(state).map(([path, t]) => [`module.${path}`, t] as const))
    const aux = { "AuxLogits.fc.weight": NdArray.float32([1], [0]) }
    expect(InceptionWeights.hash(weights(Flat.merge(wrapped, aux)))).toBe(InceptionWeights.hash(weights()))
  })
  test.each([
    {
      name: "a missing convolution",
      change: () => Flat.filter(state, (path) => !path.startsWith("Mixed_6c.branch7x7_2.")),
      tag: "MissingTensor",
      path: "Mixed_6c.branch7x7_2.weight",
    },
    {
      name: "a missing running mean",
      change: () => Flat.filter(state, (path) => path !== "Mixed_5b.branch1x1.bn.running_mean"),
      tag: "MissingTensor",
      path: "Mixed_5b.branch1x1.bn.running_mean",
    },
    {
      name: "a transposed kernel",
      change: () => ({ ...state, "Mixed_6b.branch7x7_2.conv.weight": NdArray.zeros("float32", [8, 8, 7, 1]) }),
      tag: "BadTensor",
      path: "Mixed_6b.branch7x7_2.weight",
    },
    {
      name: "a NaN",
      change: () => ({ ...state, "fc.bias": NdArray.float32([10], new Float32Array(10).fill(Number.NaN)) }),
      tag: "BadTensor",
      path: "fc.bias",
    },
  ])("$name is named", ({ change, tag, path }) => {
    expect(failure(change())).toMatchObject({ _tag: tag, path })
  })
})
