import { Failure } from "@adafm/core"
import { expect, test } from "vitest"
import * as StepProfile from "../src/bench/StepProfile.ts"

/** A multiplication and an addition are two operations. */
test.each([
  {
    name: "a convolution",
    op: "Conv",
    inputs: [[8, 16, 32, 32], [24, 16, 3, 3], [24]],
    output: [8, 24, 32, 32],
    flop: 2 * 8 * 24 * 32 * 32 * 16 * 9,
  },
  {
    name: "a matrix product",
    op: "MatMul",
    inputs: [
      [5, 7],
      [7, 11],
    ],
    output: [5, 11],
    flop: 2 * 5 * 7 * 11,
  },
  {
    name: "a product with a transposed side",
    op: "FusedMatMul",
    inputs: [
      [7, 5],
      [7, 11],
    ],
    output: [5, 11],
    flop: 2 * 5 * 7 * 11,
  },
  {
    name: "products in batches",
    op: "MatMul",
    inputs: [
      [3, 5, 7],
      [3, 7, 11],
    ],
    output: [3, 5, 11],
    flop: 2 * 3 * 5 * 7 * 11,
  },
  { name: "an activation", op: "Relu", inputs: [[8, 16]], output: [8, 16], flop: undefined },
])("$name is counted", ({ op, inputs, output, flop }) => {
  const found = StepProfile.flop(op, inputs, output)
  if (flop === undefined) expect(found).toBeUndefined()
  else expect(found).toBeCloseTo(flop, 6)
})

test("the profile of a step finds the products, and its shares add up to 1", async () => {
  const workload = { variant: "adafm", mode: "train", size: 16, nf: 2, batch: 2, seed: 0 } as const
  const { rows, products, gflop, peak_gflops, fallbacks } = await Failure.orThrow(
    StepProfile.run({ workload, warmup: 1, iterations: 1, threads: 1 }),
  )
  expect(rows.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6)
  expect(rows.some(({ op }) => op === "Conv")).toBe(true)
  expect(products.share).toBeGreaterThan(0)
  expect(gflop).toBeGreaterThan(0)
  expect(peak_gflops).toBeGreaterThan(0)
  expect(fallbacks).toEqual([])
})

test("operators that ran on another provider are counted by kind", () => {
  const event = (name: string, op_name: string, provider: string, dur: number) => ({
    cat: "Node",
    name,
    dur,
    args: { op_name, provider },
  })
  const events = [
    ...[1, 2].flatMap(() => [
      event("a", "Conv", "CUDAExecutionProvider", 60),
      event("b", "ReorderInput", "CPUExecutionProvider", 10),
      event("c", "ReorderInput", "CPUExecutionProvider", 20),
      event("d", "Loop", "CPUExecutionProvider", 10),
    ]),
  ]
  expect(StepProfile.fallbacksOf(events, "cuda")).toEqual([
    { provider: "CPUExecutionProvider", op: "ReorderInput", nodes: 2, share: 0.3 },
    { provider: "CPUExecutionProvider", op: "Loop", nodes: 1, share: 0.1 },
  ])
  expect(StepProfile.fallbacksOf(events, "cpu")).toEqual([
    { provider: "CUDAExecutionProvider", op: "Conv", nodes: 1, share: 0.6 },
  ])
})
