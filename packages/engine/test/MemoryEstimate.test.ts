import { expect, test } from "vitest"
import * as GraphBuilder from "../src/trace/GraphBuilder.ts"
import * as MemoryEstimate from "../src/trace/MemoryEstimate.ts"

test("the working memory of a step is that of the values alive at its peak, without results and views", () => {
  const g = GraphBuilder.make()
  const shape = [256]
  const kilobyte = 4 * 256
  const w = g.input("state", "w", shape, "float32")
  const x = g.input("batch", "x", shape, "float32")
  const a = g.op("Exp", [x], {}, shape, "float32")
  const b = g.op("Neg", [a], {}, shape, "float32")
  const view = g.op("Reshape", [b], { shape: [16, 16] }, [16, 16], "float32")
  const c = g.op("Abs", [view], {}, [16, 16], "float32")
  const sum = g.op("Mul", [c, view], {}, [16, 16], "float32")
  const flat = g.op("Sum", [sum], {}, [], "float32")
  const next = g.op("Sub", [w, a], {}, shape, "float32")
  // alive at the peak: b (through its view), c and their product; the update has already run, so a is freed
  expect(MemoryEstimate.of({ state: { w: next }, stats: { flat } })).toEqual({ state: kilobyte, working: 3 * kilobyte })
})
