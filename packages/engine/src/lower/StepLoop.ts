/**
 * Several steps in one graph: the step is the body of an ONNX Loop. The state that changes passes from iteration to iteration inside
 * the runtime; batches and stats are stacked along a first axis. State that never changes is read from outside the loop.
 */
import type { Proto } from "@adafm/onnx"
import { Graph } from "@adafm/onnx"
import * as Layout from "./Layout.ts"
import type { Lowered, Port } from "./Lower.ts"

/** Names of the inputs and outputs of the looping graph. */
export const names = {
  steps: "steps",
  /** A tensor of the batches, `[steps, …]`. */
  stack: (path: string): string => `stack:${path}`,
  first: (path: string): string => `first:${path}`,
  final: (path: string): string => `final:${path}`,
  /** A tensor of the stats, `[steps, …]`. */
  stats: (path: string): string => `stats:${path}`,
}

const many = (shape: readonly number[]): Graph.Shape => [{ param: names.steps }, ...shape]
const shapeOf = ({ layout, shape }: Port): readonly number[] => Layout.onnxShape(layout, shape)

/** @param step the graph of one step, with its nodes in the order in which they run */
export const graph = ({ stateIn, stateOut, batch, stats }: Lowered, step: Proto.GraphProto): Proto.GraphProto => {
  const inside = Graph.builder("inside_")
  const iteration = inside.input("iteration", "int64", [])
  const goOn = inside.input("go_on", "bool", [])
  const picks = Object.entries(batch).map(([path, { name }]): Proto.NodeProto => {
    const attribute = [{ name: "axis", type: 2, i: 0 }]
    return { opType: "Gather", input: [names.stack(path), iteration], output: [name], name: `pick ${path}`, attribute }
  })
  for (const [path, port] of Object.entries(stateOut))
    inside.input(stateIn[path]?.name ?? `unread:${path}`, port.dtype, shapeOf(port))
  inside.output("goes_on", goOn, "bool", [])
  const frame = inside.graph()
  const infos = new Map((step.output ?? []).map((info) => [info.name, info]))
  const carried = Object.values(stateOut).map(({ name }) => infos.get(name)!)
  const statsOut = Object.values(stats).map(({ name }) => infos.get(name)!)
  const body: Proto.GraphProto = {
    name: "step",
    node: [...picks, ...(frame.node ?? []), ...(step.node ?? [])],
    initializer: step.initializer ?? [],
    input: frame.input ?? [],
    output: [...(frame.output ?? []), ...carried, ...statsOut],
  }

  const g = Graph.builder("outside_")
  const steps = g.input(names.steps, "int64", [])
  for (const [path, port] of Object.entries(batch)) g.input(names.stack(path), port.dtype, many(shapeOf(port)))
  for (const [path, port] of Object.entries(stateIn))
    if (stateOut[path] === undefined) g.input(port.name, port.dtype, shapeOf(port))
  const first = Object.entries(stateOut).map(([path, port]) => g.input(names.first(path), port.dtype, shapeOf(port)))
  const results = g.ops(carried.length + statsOut.length, "Loop", [steps, "", ...first], { body: { graph: body } })
  for (const [i, [path, port]] of Object.entries(stateOut).entries())
    g.output(names.final(path), results[i]!, port.dtype, shapeOf(port))
  for (const [i, [path, port]] of Object.entries(stats).entries())
    g.output(names.stats(path), results[carried.length + i]!, port.dtype, many(port.shape))
  return g.graph()
}
