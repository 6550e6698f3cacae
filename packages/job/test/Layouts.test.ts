/** Changes of layout in the lowered graph, counted in the training step of a whole GAN. */
import { Flat } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Lower from "@adafm/engine/lower/Lower"
import * as Rewrite from "@adafm/engine/trace/Rewrite"
import * as Trace from "@adafm/engine/trace/Trace"
import type { Proto } from "@adafm/onnx"
import { describe, expect, test } from "vitest"
import * as Workload from "../src/bench/Workload.ts"

const nodesOf = async (
  variant: Workload.Workload["variant"],
  mode: Workload.Workload["mode"],
  block: number | undefined,
): Promise<readonly Proto.NodeProto[]> => {
  const { step, state, inputs } = await Workload.prepare({
    variant,
    mode,
    size: 32,
    nf: 16,
    nfMax: 64,
    batch: 16,
    seed: 0,
  })
  const spec = ({ shape, dtype }: Engine.Arrays[string]): Engine.Spec => ({ shape, dtype })
  const traced = Rewrite.program(Trace.step(step, { state: Flat.map(state, spec), batch: Flat.map(inputs, spec) }))
  return Lower.program(traced, { block, contrib: true }).graph.node ?? []
}

const moving = ["Transpose", "ReorderInput", "ReorderOutput"]
const isConvolution = ({ opType }: Proto.NodeProto): boolean => opType === "Conv" || opType === "ConvTranspose"

/** Convolutions of layers and of input gradients have 1×1 or 3×3 filters; a filter gradient's kernel is a feature map. */
const isOfLayer = (node: Proto.NodeProto): boolean => {
  const kernel = node.attribute?.find(({ name }) => name === "kernel_shape")?.ints?.map(Number)
  return isConvolution(node) && ["1,1", "3,3"].includes(String(kernel))
}

interface Count {
  /** Convolutions whose input comes from others without a change of layout, and all convolutions. */
  readonly direct: number
  readonly all: number
  /** Nodes between two convolutions that transpose a feature map. */
  readonly transpositions: number
}

const count = (nodes: readonly Proto.NodeProto[]): Count => {
  const producers = new Map(nodes.flatMap((node) => (node.output ?? []).map((name) => [name, node] as const)))
  /** Changes of layout between a feature map and the convolutions or the batch that it is computed from. */
  const changesBefore = (name: string, seen: Set<string>): readonly Proto.NodeProto[] => {
    const producer = producers.get(name)
    if (producer === undefined || seen.has(name) || isConvolution(producer)) return []
    seen.add(name)
    if (moving.includes(producer.opType ?? "")) return [producer]
    return (producer.input ?? []).flatMap((input) => changesBefore(input, seen))
  }
  const found = nodes.filter(isOfLayer).map(({ input }) => changesBefore(input![0]!, new Set()))
  // the photographs of the batch are not the result of a convolution
  const made = (node: Proto.NodeProto): boolean => producers.has(node.input![0]!)
  const transposing = found.flat().filter((node) => node.opType === "Transpose" && made(node))
  return {
    direct: found.filter((nodes) => nodes.length === 0).length,
    all: found.length,
    transpositions: new Set(transposing).size,
  }
}

describe("the training step in blocks of channels", () => {
  test.each([
    { variant: "scratch", direct: 112, all: 133 },
    { variant: "g4d2", direct: 112, all: 133 },
    { variant: "adafm", direct: 99, all: 119 },
  ] as const)("transposes no map between two convolutions: $variant", async ({ variant, ...expected }) => {
    expect(count(await nodesOf(variant, "train", 16))).toEqual({ ...expected, transpositions: 0 })
  })
})

describe("the generator alone", () => {
  test.each([
    { layout: "blocks of channels", block: 16, reorders: 3, transpositions: 2 },
    { layout: "plain NCHW", block: undefined, reorders: 0, transpositions: 1 },
  ])("changes layout at its ends only, in $layout", async ({ block, reorders, transpositions }) => {
    const names = (await nodesOf("scratch", "sample", block)).map(({ opType }) => opType)
    expect(names.filter((name) => name === "Conv").length).toBe(19)
    expect(names.filter((name) => name === "Transpose").length).toBe(transpositions)
    expect(names.filter((name) => name?.startsWith("Reorder")).length).toBe(reorders)
  })
})
