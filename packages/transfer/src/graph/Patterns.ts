/**
 * Normalisations that an exporter wrote as arithmetic, as one operator each: layer norm, instance norm without parameters, and
 * pixel norm. Their means depend on their input, so no single layer could carry the parts.
 */
import * as Constant from "./Constant.ts"
import type * as Operators from "./Operators.ts"

type Node = Operators.Node

interface Match {
  readonly op: "LayerNormalization" | "PixelNorm"
  readonly input: string
  readonly axes: readonly number[]
  readonly epsilon: number
}

/** @returns the graph with every found normalisation in place of its last operator; the others are read by nothing any more */
export const normalisations = (graph: Operators.Graph): Operators.Graph => {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
  const from = (value: string | undefined, ...ops: readonly string[]): Node | undefined => {
    const node = value === undefined ? undefined : makers.get(value)
    if (node?.op === "Identity" || node?.op === "Cast") return from(node.inputs[0], ...ops)
    return node !== undefined && ops.includes(node.op) ? node : undefined
  }
  const scalar = (value: string | undefined): number | undefined => {
    const constant = value === undefined ? undefined : graph.constants.get(value)
    return constant === undefined ? undefined : Constant.uniform(constant)
  }
  const axesOf = (node: Node): readonly number[] | undefined => {
    const { axes } = node.attributes
    if (Array.isArray(axes)) return axes as readonly number[]
    const given = node.inputs[1] === undefined ? undefined : graph.constants.get(node.inputs[1])
    return given && Constant.numbers(given)
  }
  /** The value whose square this is. */
  const squareOf = (value: string | undefined): string | undefined => {
    const node = from(value, "Pow", "Mul")
    if (node?.op === "Pow") return scalar(node.inputs[1]) === 2 ? node.inputs[0] : undefined
    return node !== undefined && node.inputs[0] === node.inputs[1] ? node.inputs[0] : undefined
  }
  /** `mean(v²) + ε` */
  const meanSquare = (value: string | undefined) => {
    const add = from(value, "Add")
    if (add === undefined) return undefined
    for (const [m, e] of [add.inputs, add.inputs.toReversed()]) {
      const [mean, epsilon] = [from(m, "ReduceMean"), scalar(e)]
      const squared = mean && squareOf(mean.inputs[0])
      const axes = mean && axesOf(mean)
      if (squared !== undefined && axes !== undefined && epsilon !== undefined) return { squared, axes, epsilon }
    }
    return undefined
  }
  const match = (node: Node): Match | undefined => {
    const [top, bottom] =
      node.op === "Div"
        ? [node.inputs[0], from(node.inputs[1], "Sqrt")]
        : [node.inputs[0], from(from(node.inputs[1], "Reciprocal")?.inputs[0], "Sqrt") ?? from(node.inputs[1], "Rsqrt")]
    const found = bottom && meanSquare(bottom.inputs[0])
    if (found === undefined || top === undefined) return undefined
    const { squared, axes, epsilon } = found
    const centred = from(squared, "Sub")
    const mean = centred && from(centred.inputs[1], "ReduceMean")
    // PyTorch computes x - mean once for the square and once for the quotient
    const numerator = from(top, "Sub")
    if (centred !== undefined && mean !== undefined && numerator !== undefined) {
      const same = mean.inputs[0] === centred.inputs[0] && numerator.inputs[0] === centred.inputs[0]
      return same ? { op: "LayerNormalization", input: centred.inputs[0]!, axes, epsilon } : undefined
    }
    return squared === top && axes.length === 1 ? { op: "PixelNorm", input: top, axes, epsilon } : undefined
  }
  const nodes = graph.nodes.map((node): Node => {
    const found = node.op === "Div" || node.op === "Mul" ? match(node) : undefined
    return found === undefined
      ? node
      : { ...node, op: found.op, inputs: [found.input], attributes: { axes: found.axes, epsilon: found.epsilon } }
  })
  return { ...graph, nodes: needed(nodes, graph.outputs) }
}

/** The nodes that the outputs depend on. */
export const needed = (nodes: readonly Node[], outputs: readonly string[]): readonly Node[] => {
  const wanted = new Set(outputs)
  const kept: Node[] = []
  for (const node of nodes.toReversed())
    if (node.outputs.some((output) => wanted.has(output))) {
      kept.push(node)
      for (const input of node.inputs) wanted.add(input)
    }
  return kept.reverse()
}
