/** Orders the nodes of a graph and decides where results are stored, to save memory. */
import type { Proto } from "@adafm/onnx"

type Node = Proto.NodeProto

/** Length of the longest path to each node, in nodes. */
const depths = (nodes: readonly Node[]): ReadonlyMap<Node, number> => {
  const ofValue = new Map<string, number>()
  const depth = new Map<Node, number>()
  for (const node of nodes) {
    const own = 1 + node.input.reduce((most, name) => Math.max(most, ofValue.get(name) ?? 0), 0)
    depth.set(node, own)
    for (const name of node.output) ofValue.set(name, own)
  }
  return depth
}

/** Gives a result that is copied to an output the output's name, and removes the copy. */
export const withoutCopies = (graph: Proto.GraphProto): Proto.GraphProto => {
  const nodes = graph.node ?? []
  const outputs = new Set((graph.output ?? []).map(({ name }) => name))
  const made = new Set(nodes.flatMap(({ output }) => output))
  const renamed = new Map<string, string>()
  const copies = new Set<Node>()
  for (const node of nodes) {
    const [from, to] = [node.input[0], node.output[0]]
    if (node.opType !== "Identity" || from === undefined || to === undefined) continue
    if (!outputs.has(to) || !made.has(from) || outputs.has(from) || renamed.has(from)) continue
    renamed.set(from, to)
    copies.add(node)
  }
  const rename = (names: readonly string[]): readonly string[] => names.map((name) => renamed.get(name) ?? name)
  return {
    ...graph,
    node: nodes
      .filter((node) => !copies.has(node))
      .map((node) => ({ ...node, input: rename(node.input), output: rename(node.output) })),
  }
}

/**
 * ONNX Runtime runs a graph depth first and begins with the last node that no other node depends on. In a training step these nodes
 * are the parameter updates. With the shallowest of them last, a layer's update runs as soon as the gradient has reached the layer, and
 * the tensors that the update needs are freed before the gradient goes on.
 */
export const shallowestFirst = (graph: Proto.GraphProto): Proto.GraphProto => {
  const nodes = graph.node ?? []
  const used = new Set(nodes.flatMap(({ input }) => input))
  const depth = depths(nodes)
  const isLeaf = (node: Node): boolean => node.output.every((name) => !used.has(name))
  return {
    ...graph,
    node: [
      ...nodes.filter((node) => !isLeaf(node)),
      ...nodes.filter(isLeaf).toSorted((a, b) => depth.get(b)! - depth.get(a)!),
    ],
  }
}

/** Operators whose result may share the memory of their input. */
const views: ReadonlySet<string> = new Set(["Reshape", "Identity", "Transpose"])
/** Operators that read each element of their inputs only to write the same element of their result. */
const elementwise: ReadonlySet<string> = new Set(["Add", "Sub", "Mul", "Div"])

/** All nodes that have run once this node has, itself included. */
const before = (node: Node, producers: ReadonlyMap<string, Node>): ReadonlySet<Node> => {
  const seen = new Set<Node>()
  const stack = [node]
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (seen.has(next)) continue
    seen.add(next)
    for (const name of next.input) {
      const producer = producers.get(name)
      if (producer !== undefined) stack.push(producer)
    }
  }
  return seen
}

/**
 * Whether an output may be written over an input: every node that reads the input, also through a view, must run before the node that
 * writes the output, or be that node; and that node must be elementwise. In a training step this holds for Adam's moments, for
 * moving averages, and for filters that no gradient needs once their own gradient is computed.
 */
export const overwrites = (graph: Proto.GraphProto): ((input: string, output: string) => boolean) => {
  const nodes = graph.node ?? []
  const producers = new Map(nodes.flatMap((node) => node.output.map((name) => [name, node] as const)))
  const readers = new Map<string, Node[]>()
  for (const node of nodes)
    for (const name of node.input) {
      const known = readers.get(name)
      if (known === undefined) readers.set(name, [node])
      else known.push(node)
    }
  const reading = (name: string): readonly Node[] =>
    (readers.get(name) ?? []).flatMap((node) =>
      views.has(node.opType) ? [node, ...node.output.flatMap(reading)] : [node],
    )
  return (input, output) => {
    const writer = producers.get(output)
    if (writer === undefined || !elementwise.has(writer.opType)) return false
    const done = before(writer, producers)
    return reading(input).every((node) => done.has(node))
  }
}
