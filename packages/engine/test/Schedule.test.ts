import { Graph } from "@adafm/onnx"
import { describe, expect, test } from "vitest"
import * as Schedule from "../src/lower/Schedule.ts"

const names = (graph: ReturnType<Graph.Builder["graph"]>): readonly string[] =>
  (graph.node ?? []).map(({ opType }) => opType)
const shape = [4]

describe("the schedule of a graph", () => {
  test("names a result after the output that it is copied to, and keeps the copy if the value is two outputs or an input", () => {
    const g = Graph.builder()
    const x = g.input("x", "float32", shape)
    const y = g.op("Exp", [x])
    g.output("first", y, "float32", shape)
    g.output("second", y, "float32", shape)
    g.output("same", x, "float32", shape)
    const { node = [] } = Schedule.withoutCopies(g.graph())
    expect(node.map(({ opType, input, output }) => [opType, input[0], output[0]])).toEqual([
      ["Exp", "x", "first"],
      ["Identity", "first", "second"],
      ["Identity", "x", "same"],
    ])
  })

  test("puts the nodes that no node depends on last, the shallowest of them at the very end", () => {
    const g = Graph.builder()
    const x = g.input("x", "float32", shape)
    const shallow = g.op("Neg", [x])
    const middle = g.op("Exp", [g.op("Abs", [x])])
    g.output("a", shallow, "float32", shape)
    g.output("b", middle, "float32", shape)
    expect(names(Schedule.shallowestFirst(Schedule.withoutCopies(g.graph())))).toEqual(["Abs", "Exp", "Neg"])
  })

  test("allows a new value to overwrite an old one only if every reader has run and the writer is elementwise", () => {
    const g = Graph.builder()
    const w = g.input("w", "float32", shape)
    const v = g.input("v", "float32", shape)
    const gradient = g.op("Exp", [w])
    g.output("w next", g.op("Sub", [w, gradient]), "float32", shape)
    const late = g.op("MatMul", [g.op("Reshape", [v, g.ints([2, 2])]), g.op("Reshape", [gradient, g.ints([2, 2])])])
    g.output("v next", g.op("Mul", [v, gradient]), "float32", shape)
    g.output("late", late, "float32", [2, 2])
    const u = g.input("u", "float32", shape)
    g.output("u next", g.op("CumSum", [u, g.ints([0])]), "float32", shape)
    const mayOverwrite = Schedule.overwrites(Schedule.withoutCopies(g.graph()))
    expect(mayOverwrite("w", "w next")).toBe(true)
    expect(mayOverwrite("v", "v next"), "a product may read v later, through a view").toBe(false)
    expect(mayOverwrite("u", "u next"), "a cumulative sum is not elementwise").toBe(false)
  })
})
