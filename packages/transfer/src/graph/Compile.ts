/** From a graph of operators to a stack with its parameters. What the stack cannot carry is refused with the node's name. */
import { Failure } from "@adafm/core"
import type { Stack, StackShape } from "@adafm/gan"
import * as Arithmetic from "./Arithmetic.ts"
import * as Axes from "./Axes.ts"
import type * as Constant from "./Constant.ts"
import * as Convolutions from "./Convolutions.ts"
import * as Movements from "./Movements.ts"
import * as Normalisations from "./Normalisations.ts"
import * as Operators from "./Operators.ts"
import * as Patterns from "./Patterns.ts"
import * as Points from "./Points.ts"
import * as Pooling from "./Pooling.ts"
import * as Reading from "./Reading.ts"

const handlers: Readonly<Record<string, Reading.Handler>> = {
  ...Arithmetic.handlers,
  ...Movements.handlers,
  ...Pooling.handlers,
  Conv: Convolutions.conv,
  ConvTranspose: Convolutions.convTranspose,
  Gemm: Convolutions.gemm,
  MatMul: Convolutions.matMul,
  BatchNormalization: Normalisations.batchNorm,
  InstanceNormalization: Normalisations.instanceNorm,
  GroupNormalization: Normalisations.groupNorm,
  LayerNormalization: Normalisations.layerNorm,
  PixelNorm: Normalisations.pixelNorm,
}

/** Operators that are read, for messages and documentation. */
export const operators: readonly string[] = [...Object.keys(handlers), "Constant"].sort()

/** Nodes of one network; the time to read it grows with their square. */
const MAX_NODES = 4000
/** Stands for a free batch size: a prime, so that no reshape takes it for another dimension. */
const FREE = 1_000_003

export interface Compiled {
  readonly layers: readonly Stack.Layer[]
  readonly input: StackShape.Shape
  readonly output: StackShape.Shape
  /** By the paths of the layers, in the layout of a model folder. */
  readonly parameters: ReadonlyMap<string, Constant.Constant>
  /** Names of the inputs that are the network's input and its label. */
  readonly names: { readonly input: string; readonly label: string | undefined; readonly output: string }
}

interface Inputs {
  readonly main: Operators.Input
  readonly label: Operators.Input | undefined
}

const LABEL = /label|class|cond|^y$/i

/** The numbers of one sample's input. */
const sizeOf = ({ shape }: Operators.Input): number => (shape ?? []).slice(1).reduce((n, d) => n * Math.abs(d), 1)

const chooseInputs = ({ inputs, nodes, constants }: Operators.Graph): Inputs => {
  const used = new Set(nodes.flatMap((node) => node.inputs))
  const real = inputs.filter(({ name }) => used.has(name) && !constants.has(name))
  const [first, second] = real
  if (first === undefined) return Failure.raise("UnsupportedGraph", "the graph reads no input")
  if (second === undefined) return { main: first, label: undefined }
  if (real.length > 2)
    return Failure.raise(
      "UnsupportedGraph",
      `the graph has ${real.length} inputs (${real.map(({ name }) => name).join(", ")}); one, or one and a label, are supported`,
    )
  const named = real.filter(({ name }) => LABEL.test(name))
  const label = named.length === 1 ? named[0]! : sizeOf(first) < sizeOf(second) ? first : second
  if (named.length !== 1 && sizeOf(first) === sizeOf(second))
    return Failure.raise(
      "UnsupportedGraph",
      `which of the inputs ${first.name} and ${second.name} is the label? Their names and sizes do not tell`,
    )
  return { main: real.find((input) => input !== label)!, label }
}

/** The shape of one sample; a vector may be written `[N, 1, 1]`. */
const rootOf = ({ name, shape }: Operators.Input, batch: number): Reading.Activation => {
  const dims = shape?.slice(1) ?? []
  if (shape === undefined || dims.length === 0 || dims.length > 3 || dims.some((d) => d < 1))
    return Failure.raise(
      "UnsupportedGraph",
      `the input ${name} has the shape [${shape?.join(", ") ?? "unknown"}]: all sizes but the batch's must be fixed; export the model with fixed sizes`,
    )
  const large = dims.filter((d) => d > 1)
  if (dims.length === 3 && large.length > 1) {
    const own = dims as unknown as readonly [number, number, number]
    // a channel axis is the smallest one: [C, H, W], or [H, W, C] as TensorFlow writes it
    const last = own[2] < own[0] && own[2] <= 4
    const [c, h, w] = last ? [own[2], own[0], own[1]] : own
    const canonical = Axes.image(batch, [c, h, w])
    return {
      kind: "activation",
      point: Points.root("input", [c, h, w]),
      axes: last ? [canonical[0]!, canonical[2]!, canonical[3]!, canonical[1]!] : canonical,
    }
  }
  const n = dims.reduce((a, b) => a * b, 1)
  const [axis] = dims.flatMap((d, k) => (d > 1 ? [k] : []))
  const own = Axes.vector(batch, n)
  if (large.length > 1) return Failure.raise("UnsupportedGraph", `the input ${name} has the shape [${dims.join(", ")}]`)
  return {
    kind: "activation",
    point: Points.root("input", [n]),
    axes: [own[0]!, ...dims.map((_, k) => (k === (axis ?? 0) ? own[1]! : []))],
  }
}

/** A label that is given as numbers is a one-hot vector. */
const labelOf = (input: Operators.Input, reading: Reading.Reading, graph: Operators.Graph): Reading.Value => {
  const looksUp = graph.nodes.some(
    ({ op, inputs }) => (op === "Gather" && inputs[1] === input.name) || (op === "OneHot" && inputs[0] === input.name),
  )
  const dims = input.shape?.slice(1) ?? []
  const [classes] = dims
  if (looksUp || dims.length === 0 || sizeOf(input) === 1) return { kind: "label" }
  if (dims.length !== 1 || classes! < 2)
    return Failure.raise(
      "UnsupportedGraph",
      `the label ${input.name} has the shape [${dims.join(", ")}]; a class or a one-hot vector is supported`,
    )
  reading.label = Points.root("label", [classes!])
  const point = Points.layer(reading.label, { kind: "oneHot", classes: classes! }, input.name)
  return Reading.plain(reading, point)
}

const chosenOutput = ({ outputs }: Operators.Graph, wanted: string | undefined): string =>
  wanted ??
  (outputs.length === 1
    ? outputs[0]!
    : outputs.length === 0
      ? Failure.raise("UnsupportedGraph", "the graph has no output")
      : outputs[0]!)

/** @param output which output to read; the first by default */
export const compile = (given: Operators.Graph, output?: string): Compiled => {
  const name = chosenOutput(given, output)
  const alone = { ...given, outputs: [name], nodes: Patterns.needed(given.nodes, [name]) }
  if (alone.nodes.length > MAX_NODES)
    return Failure.raise("UnsupportedGraph", `the graph has ${alone.nodes.length} nodes; the limit is ${MAX_NODES}`)
  const graph = Patterns.normalisations(alone)
  const { main, label } = chooseInputs(graph)
  const first = main.shape?.[0] ?? -1
  const batch = first > 0 ? first : FREE
  const reading: Reading.Reading = { batch, parameters: new Map(), label: undefined }
  const root = rootOf(main, batch)
  const values = new Map<string, Reading.Value>([[main.name, root]])
  for (const [key, constant] of graph.constants) values.set(key, Reading.fixed(constant))
  if (label !== undefined) values.set(label.name, labelOf(label, reading, graph))
  for (const node of graph.nodes) {
    const handler = Object.hasOwn(handlers, node.op) ? handlers[node.op] : undefined
    if (handler === undefined)
      return Operators.refuse(
        node,
        "is an operation that no layer here carries out; --layers cannot help, the network would have to be exported without it",
      )
    const inputs = node.inputs.map((input) =>
      input === ""
        ? undefined
        : (values.get(input) ?? Operators.refuse(node, `reads ${input}, which nothing before it makes`)),
    )
    const made = handler(node, inputs, reading)
    const all = Array.isArray(made) ? (made as readonly Reading.Value[]) : [made as Reading.Value]
    for (const [k, value] of all.entries()) values.set(node.outputs[k] ?? "", value)
  }
  const last = values.get(name)
  if (last?.kind !== "activation")
    return Failure.raise("UnsupportedGraph", `the output ${name} does not depend on the input`)
  const end = asOutput(last, name, reading)
  return {
    layers: Points.stackOf(root.point, end, reading.label),
    input: root.point.shape,
    output: end.shape,
    parameters: reading.parameters,
    names: { input: main.name, label: label?.name, output: name },
  }
}

/** An image in the order (C, H, W) or (H, W, C), or a vector. */
const asOutput = (value: Reading.Activation, name: string, reading: Reading.Reading): Points.Point => {
  const node: Operators.Node = { name, op: "output", inputs: [], outputs: [], attributes: {} }
  const sizes = Axes.shapeOf(value.axes)
  if (sizes.length !== 4) return Reading.vector(node, value, reading)
  const large = sizes.slice(1).filter((n) => n > 1).length
  if (large < 2) return Reading.vector(node, value, reading)
  const last = Reading.settled(node, value, sizes[3]! <= 4 && sizes[3]! < sizes[1]! ? 3 : 1, reading)
  const { axes, point } = last
  const canonical = point.shape.length === 3 ? Axes.image(reading.batch, point.shape) : undefined
  if (
    canonical !== undefined &&
    Axes.equal(
      axes,
      [0, 2, 3, 1].map((k) => canonical[k]!),
    )
  )
    return point
  return Reading.image(node, last, reading)
}
