import { NdArray } from "@adafm/core"
import { expect, test } from "vitest"
import * as Channels from "../src/Channels.ts"

const image = (channels: number, ...values: readonly number[]) =>
  NdArray.make("uint8", [1, values.length / channels, channels], Uint8Array.from(values))

/** Pillow 12.3: `Image.new("RGB", (1, 1), c).convert("L").getpixel((0, 0))`; the formula is that of its C source. */
test.each([
  { rgb: [255, 0, 0], grey: 76 },
  { rgb: [0, 255, 0], grey: 150 },
  { rgb: [0, 0, 255], grey: 29 },
  { rgb: [255, 255, 255], grey: 255 },
  { rgb: [12, 200, 99], grey: 132 },
])("the luma of $rgb is Pillow's $grey", ({ rgb, grey }) => {
  expect([...Channels.luma(image(3, ...rgb)).data]).toEqual([grey])
})

test("grey keeps its value through RGB and back", () => {
  const grey = image(1, ...Array.from({ length: 256 }, (_, v) => v))
  expect(Channels.luma(Channels.spread(grey))).toEqual(grey)
})

test("RGBA shows on white, and opaque RGB is itself", () => {
  const rgb = image(3, 0, 10, 255)
  expect(Channels.onWhite(Channels.opaque(rgb))).toEqual(rgb)
  expect([...Channels.rgb(image(4, 0, 10, 255, 0, 0, 10, 255, 128)).data]).toEqual([255, 255, 255, 127, 132, 255])
})
