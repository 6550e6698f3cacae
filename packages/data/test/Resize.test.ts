import { NdArray, Safetensors } from "@adafm/core"
import { Shared } from "@adafm/testkit"
import * as E from "fp-ts/lib/Either.js"
import { describe, expect, test } from "vitest"
import * as Resize from "../src/Resize.ts"

const VECTORS = "data/resize/resize.expected.safetensors"

describe.skipIf(Shared.missing(VECTORS))("against Pillow, PyTorch and TensorFlow 1", async () => {
  const file = Shared.path(VECTORS)
  const either = file === undefined ? undefined : await Safetensors.read(file)()
  const tensors = either && E.isRight(either) ? either.right.tensors : {}
  const cases = Object.keys(tensors)
    .filter((name) => !name.endsWith("/input"))
    .map((name) => {
      const [image, method, filter, size] = name.split("/") as [string, string, string, string]
      const [width, height] = size.split("x").map(Number) as [number, number]
      return { name, method, filter, width, height, input: tensors[`${image}/input`] as NdArray.NdArray<"uint8"> }
    })
  const of = (method: string) => cases.filter((c) => c.method === method)

  test.each(of("pillow_u8"))("$name has equal bits", ({ name, filter, height, width, input }) => {
    const got = Resize.pillow(input, height, width, filter as Resize.Filter)
    expect(got.shape).toEqual(tensors[name]!.shape)
    expect(Buffer.compare(got.data, tensors[name]!.data as Uint8Array)).toBe(0)
  })

  /** Largest difference, for values in 0…1. */
  const difference = (got: NdArray.NdArray<"float32">, name: string): number => {
    expect(got.shape).toEqual(tensors[name]!.shape)
    return got.data.reduce((worst, v, i) => Math.max(worst, Math.abs(v - Number(tensors[name]!.data[i]))), 0) / 255
  }

  test.each(of("pillow_f32"))("$name within 1e-5", ({ name, height, width, input }) => {
    expect(difference(Resize.pillowFloat(NdArray.toFloat32(input), height, width, "bicubic"), name)).toBeLessThan(1e-5)
  })
  test.each(of("torch"))("$name within 1e-5", ({ name, filter, height, width, input }) => {
    expect(difference(Resize.torch(input, height, width, filter.endsWith("true")), name)).toBeLessThan(1e-5)
  })
  test.each(of("tf1"))("$name within 1e-5", ({ name, filter, height, width, input }) => {
    expect(difference(Resize.tf1(input, height, width, filter.endsWith("true")), name)).toBeLessThan(1e-5)
  })
})

describe("laws", () => {
  const ramp = (h: number, w: number): NdArray.NdArray<"uint8"> =>
    NdArray.make(
      "uint8",
      [h, w, 3],
      Uint8Array.from({ length: h * w * 3 }, (_, i) => (i * 37) % 256),
    )

  test.each(["box", "bilinear", "hamming", "bicubic", "lanczos"] as const)(
    "%s keeps a constant image constant, up and down",
    (filter) => {
      const grey = NdArray.make("uint8", [9, 7, 3], new Uint8Array(9 * 7 * 3).fill(93))
      for (const size of [1, 5, 31])
        expect(new Set(Resize.pillow(grey, size, size, filter).data)).toEqual(new Set([93]))
    },
  )

  test("a resize to the image's size is the identity", () => {
    expect(Resize.pillow(ramp(5, 6), 5, 6, "lanczos").data).toEqual(ramp(5, 6).data)
    expect(Resize.torch(ramp(5, 6), 5, 6).data).toEqual(Float32Array.from(ramp(5, 6).data))
  })

  test("transposing commutes with a resize that does not round between its passes", () => {
    const image = NdArray.toFloat32(ramp(8, 6))
    const flip = (a: NdArray.NdArray<"float32">) => NdArray.permute(a, [1, 0, 2])
    const [a, b] = [
      Resize.pillowFloat(image, 5, 11, "bicubic"),
      flip(Resize.pillowFloat(flip(image), 11, 5, "bicubic")),
    ]
    for (const [i, v] of a.data.entries()) expect(v).toBeCloseTo(b.data[i]!, 3)
  })

  /** torchvision's offset is `int(round((h - size) / 2))`, with halves to even: 2 for 3 spare rows, 0 for 1 spare row. */
  test.each([
    { height: 4, top: 0 },
    { height: 5, top: 0 },
    { height: 7, top: 2 },
    { height: 9, top: 2 },
  ])("the centre crop of $height rows to 4 starts at row $top", ({ height, top }) => {
    const rows = NdArray.make(
      "uint8",
      [height, 4, 1],
      Uint8Array.from({ length: height * 4 }, (_, i) => i >> 2),
    )
    expect(Resize.centreCrop(rows, 4).data[0]).toBe(top)
  })

  test("fit returns a square of the given size for portrait, landscape and square images", () => {
    for (const [h, w] of [
      [215, 160],
      [160, 213],
      [64, 64],
      [1, 9],
    ] as const)
      expect(Resize.fit(ramp(h, w), 32).shape).toEqual([32, 32, 3])
  })
})
