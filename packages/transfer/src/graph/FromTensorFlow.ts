/**
 * A frozen TensorFlow graph (a TensorFlow.js graph model) as operators: TensorFlow's names and orders of axes in ONNX's.
 * https://www.tensorflow.org/api_docs/python/tf/raw_ops
 */
import type { Checkpoint, Topology } from "@adafm/checkpoint"
import * as Constant from "./Constant.ts"
import { ofPath } from "./FromOnnx.ts"
import type * as Operators from "./Operators.ts"
import { refuse } from "./Operators.ts"
import * as TensorFlowNode from "./TensorFlowNode.ts"

/** Operators of one input and no attribute, by TensorFlow's names. */
const same: Readonly<Record<string, string>> = {
  Identity: "Identity",
  StopGradient: "Identity",
  NoOp: "Identity",
  Relu: "Relu",
  Tanh: "Tanh",
  Sigmoid: "Sigmoid",
  Softplus: "Softplus",
  Selu: "Selu",
  Elu: "Elu",
  Neg: "Neg",
  Rsqrt: "Rsqrt",
  Sqrt: "Sqrt",
  Reciprocal: "Reciprocal",
  Shape: "Shape",
  Cast: "Cast",
  Add: "Add",
  AddV2: "Add",
  Sub: "Sub",
  Mul: "Mul",
  RealDiv: "Div",
  Maximum: "Max",
  Minimum: "Min",
  Pow: "Pow",
  Reshape: "Reshape",
}

type Node = TensorFlowNode.Node
const { flagOf, ints, listOf, numberOf, textAttribute, textOf } = TensorFlowNode

const TO_IMAGES = { perm: [0, 3, 1, 2] }
const BACK = { perm: [0, 2, 3, 1] }

export const graph = (topology: Topology.TensorFlowGraph, checkpoint: Checkpoint.Checkpoint): Operators.Graph => {
  const list = TensorFlowNode.sorted(topology)
  const nodes: Operators.Node[] = []
  const constants = new Map<string, Constant.Constant>()
  const inputs: Operators.Input[] = []
  const read = new Set<string>()
  let count = 0
  const emit = (
    { name }: Node,
    kind: string,
    given: readonly string[],
    attributes: Operators.Node["attributes"] = {},
    output = `${name}#${count++}`,
  ): string => {
    nodes.push({ name, op: kind, inputs: given, outputs: [output], attributes })
    for (const input of given) read.add(input)
    return output
  }
  const literal = (values: readonly number[], shape: readonly number[] = [values.length]): string => {
    const key = `#literal ${count++}`
    constants.set(key, Constant.of(shape, values))
    return key
  }
  const needs = (node: Node, key: string | undefined, what: string): Constant.Constant =>
    (key === undefined ? undefined : constants.get(key)) ?? refuse(node, `needs fixed numbers as ${what}`)
  const derived = (key: string, constant: Constant.Constant): string => {
    constants.set(key, constant)
    return key
  }
  const onImages = (node: Node, x: string, f: (x: string) => string, output: string): string => {
    if (textAttribute(node, "data_format") === "NCHW") return emit(node, "Identity", [f(x)], {}, output)
    return emit(node, "Transpose", [f(emit(node, "Transpose", [x], TO_IMAGES))], BACK, output)
  }
  const spatial = (node: Node, name: string): readonly number[] => {
    const all = ints(node, name)
    return all.length === 4 ? (textAttribute(node, "data_format") === "NCHW" ? all.slice(2) : all.slice(1, 3)) : [1, 1]
  }
  const autoPad = (node: Node): string => {
    const padding = textAttribute(node, "padding")
    if (padding === "SAME") return "SAME_UPPER"
    return padding === "VALID" ? "VALID" : refuse(node, `has the padding ${padding ?? "?"}, which is not supported`)
  }
  const filters = (node: Node, key: string | undefined): string =>
    derived(`${key}#filters`, Constant.permute(needs(node, key, "its filters"), [3, 2, 0, 1]))
  const conv = (node: Node, x: string, key: string | undefined, bias: readonly string[], output?: string): string => {
    const attributes = {
      strides: spatial(node, "strides"),
      dilations: spatial(node, "dilations"),
      auto_pad: autoPad(node),
    }
    const weight = filters(node, key)
    return onImages(
      node,
      x,
      (v) => emit(node, "Conv", [v, weight, ...bias], attributes),
      output ?? `${node.name}#${count++}`,
    )
  }
  /** @param more inputs that the fused operators take after the bias */
  const fusedEnd = (node: Node, x: string, output: string, more: readonly string[] = []): string => {
    let value = x
    for (const name of listOf(node, "fused_ops", "s").map(textOf)) {
      if (name === "BiasAdd") continue
      const alpha = { alpha: numberOf(node, "leakyrelu_alpha", 0.2) }
      if (name === "Prelu" && more[0] !== undefined) value = emit(node, "PRelu", [value, more[0]])
      else if (name === "LeakyRelu") value = emit(node, "LeakyRelu", [value], alpha)
      else if (name === "Relu6") value = emit(node, "Clip", [value, literal([0], []), literal([6], [])])
      else if (name !== undefined && same[name] !== undefined) value = emit(node, same[name], [value])
      else return refuse(node, `is fused with ${name ?? "something"}, which is not supported`)
    }
    return emit(node, "Identity", [value], {}, output)
  }
  const matMul = (node: Node, [x, w, b, ...more]: readonly string[], output: string): string => {
    if (flagOf(node, "transpose_a")) return refuse(node, "transposes its input")
    const matrix = needs(node, w, "its second input")
    const key = flagOf(node, "transpose_b") ? derived(`${w}#transposed`, Constant.permute(matrix, [1, 0])) : w!
    const y = emit(node, "MatMul", [x!, key])
    return fusedEnd(node, b === undefined ? y : emit(node, "Add", [y, b]), output, more)
  }
  const handlers: Readonly<Record<string, (node: Node, given: readonly string[], output: string) => string>> = {
    MatMul: matMul,
    _FusedMatMul: matMul,
    BiasAdd: (node, [x, b], output) =>
      textAttribute(node, "data_format") === "NCHW"
        ? refuse(node, "adds a bias in NCHW, which is not supported")
        : emit(node, "Add", [x!, b!], {}, output),
    Conv2D: (node, [x, w], output) => conv(node, x!, w, [], output),
    _FusedConv2D: (node, [x, w, ...more], output) => {
      const names = listOf(node, "fused_ops", "s").map(textOf)
      const isBatchNorm = names[0] === "FusedBatchNorm"
      if (isBatchNorm)
        return refuse(node, "is fused with a batch norm, which is not supported: convert without grappler's remapper")
      const biases = names.includes("BiasAdd") ? 1 : 0
      return fusedEnd(node, conv(node, x!, w, more.slice(0, biases)), output, more.slice(biases))
    },
    // the size is a list of fixed numbers, or one that the graph computes of its input's shape
    Conv2DBackpropInput: (node, [size, w, x], output) => {
      const isFirst = textAttribute(node, "data_format") === "NCHW"
      const attributes = { strides: spatial(node, "strides"), auto_pad: autoPad(node), size_axis: isFirst ? 2 : 1 }
      const weight = filters(node, w)
      return onImages(node, x!, (v) => emit(node, "ConvTranspose", [v, weight, "", size!], attributes), output)
    },
    LeakyRelu: (node, [x], output) => emit(node, "LeakyRelu", [x!], { alpha: numberOf(node, "alpha", 0.2) }, output),
    Relu6: (node, [x], output) => emit(node, "Clip", [x!, literal([0], []), literal([6], [])], {}, output),
    Prelu: (node, [x, w], output) => emit(node, "PRelu", [x!, w!], {}, output),
    ...Object.fromEntries(
      ["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"].map((op) => [
        op,
        (node: Node, given: readonly string[], output: string) =>
          flagOf(node, "is_training")
            ? refuse(node, "normalises by its batch (is_training); convert the model for inference")
            : emit(
                node,
                "BatchNormalization",
                given.slice(0, 5),
                {
                  epsilon: numberOf(node, "epsilon", 1e-3),
                  axis: textAttribute(node, "data_format") === "NCHW" ? 1 : -1,
                },
                output,
              ),
      ]),
    ),
    Transpose: (node, [x, order], output) =>
      emit(node, "Transpose", [x!], { perm: Constant.numbers(needs(node, order, "its order")) ?? [] }, output),
    Squeeze: (node, [x], output) => {
      const axes = ints(node, "squeeze_dims")
      return emit(node, "Squeeze", [x!], axes.length === 0 ? {} : { axes }, output)
    },
    ExpandDims: (node, [x, axis], output) =>
      emit(node, "Unsqueeze", [x!], { axes: Constant.numbers(needs(node, axis, "its axis")) ?? [] }, output),
    ConcatV2: (node, given, output) => {
      const axis = Constant.numbers(needs(node, given.at(-1), "its axis"))![0]!
      return emit(node, "Concat", given.slice(0, -1), { axis }, output)
    },
    Pack: (node, given, output) => {
      if (numberOf(node, "axis", 0) !== 0) return refuse(node, "stacks along another axis than the first")
      const rows = given.map((x) => emit(node, "Unsqueeze", [x], { axes: [0] }))
      return emit(node, "Concat", rows, { axis: 0 }, output)
    },
    StridedSlice: (node, [x, begin, end, strides], output) => {
      const list = (key: string | undefined): readonly number[] => Constant.numbers(needs(node, key, "its range")) ?? []
      const masks = ["begin_mask", "end_mask", "shrink_axis_mask", "new_axis_mask", "ellipsis_mask"].map((m) =>
        numberOf(node, m, 0),
      )
      const [from, to, shrink, fresh, dots] = masks as [number, number, number, number, number]
      if (fresh !== 0 || dots !== 0) return refuse(node, "cuts with new axes, which is not supported")
      const [b, e] = [list(begin), list(end)]
      const starts = b.map((v, k) => ((from >> k) & 1 ? 0 : v))
      const ends = e.map((v, k) =>
        (to >> k) & 1 ? 2 ** 31 : (shrink >> k) & 1 ? (starts[k]! === -1 ? 2 ** 31 : starts[k]! + 1) : v,
      )
      const axes = b.map((_, k) => k)
      const part = emit(node, "Slice", [x!, literal(starts), literal(ends), literal(axes), literal(list(strides))])
      const removed = axes.filter((k) => (shrink >> k) & 1)
      return removed.length === 0
        ? emit(node, "Identity", [part], {}, output)
        : emit(node, "Squeeze", [part], { axes: removed }, output)
    },
    Pad: (node, [x, pads], output) => pad(node, x!, pads, output),
    PadV2: (node, [x, pads], output) => pad(node, x!, pads, output),
    MirrorPad: (node, [x, pads], output) => pad(node, x!, pads, output, "reflect"),
    ResizeNearestNeighbor: (node, [x, size], output) => resize(node, x!, size, output, "nearest"),
    ResizeBilinear: (node, [x, size], output) => resize(node, x!, size, output, "linear"),
    AvgPool: (node, [x], output) => pool(node, x!, "AveragePool", output),
    MaxPool: (node, [x], output) => pool(node, x!, "MaxPool", output),
    DepthToSpace: (node, [x], output) =>
      onImages(
        node,
        x!,
        (v) => emit(node, "DepthToSpace", [v], { blocksize: numberOf(node, "block_size", 2), mode: "DCR" }),
        output,
      ),
    ...Object.fromEntries(
      [
        ["Mean", "ReduceMean"],
        ["Sum", "ReduceSum"],
      ].map(([op, kind]) => [
        op,
        (node: Node, [x, axes]: readonly string[], output: string) =>
          emit(
            node,
            kind!,
            [x!],
            {
              axes: Constant.numbers(needs(node, axes, "its axes")) ?? [],
              keepdims: Number(flagOf(node, "keep_dims")),
            },
            output,
          ),
      ]),
    ),
    GatherV2: (node, [table, indices, axis], output) =>
      emit(node, "Gather", [table!, indices!], { axis: Constant.numbers(needs(node, axis, "its axis"))![0]! }, output),
    SquaredDifference: (node, [a, b], output) => {
      const d = emit(node, "Sub", [a!, b!])
      return emit(node, "Mul", [d, d], {}, output)
    },
    Square: (node, [x], output) => emit(node, "Mul", [x!, x!], {}, output),
    ClipByValue: (node, [x, low, high], output) => emit(node, "Clip", [x!, low!, high!], {}, output),
  }
  const pad = (node: Node, x: string, key: string | undefined, output: string, mode = "constant"): string => {
    const all = Constant.numbers(needs(node, key, "its pads")) ?? []
    const before = all.filter((_, k) => k % 2 === 0)
    const after = all.filter((_, k) => k % 2 === 1)
    if (all.length !== 8) return refuse(node, "pads something that is no image")
    const order = [0, 3, 1, 2]
    const pads = literal([...order.map((k) => before[k]!), ...order.map((k) => after[k]!)])
    return onImages(node, x, (v) => emit(node, "Pad", [v, pads], { mode }), output)
  }
  const resize = (node: Node, x: string, key: string | undefined, output: string, mode: string): string => {
    const half = flagOf(node, "half_pixel_centers")
    const corners = flagOf(node, "align_corners")
    const coordinates = corners ? "align_corners" : half ? "half_pixel" : "asymmetric"
    const attributes = {
      mode,
      coordinate_transformation_mode: mode === "nearest" && half ? "asymmetric" : coordinates,
      nearest_mode: "floor",
    }
    return onImages(node, x, (v) => emit(node, "ResizeTo", [v, key!], attributes), output)
  }
  const pool = (node: Node, x: string, op: string, output: string): string =>
    onImages(
      node,
      x,
      (v) =>
        emit(node, op, [v], {
          kernel_shape: spatial(node, "ksize"),
          strides: spatial(node, "strides"),
          auto_pad: autoPad(node),
        }),
      output,
    )
  for (const node of list) {
    if (node.op === "Const") {
      if (checkpoint.tensors[node.name] === undefined)
        return refuse(node, "is a constant, but the file has no tensor of this name")
      constants.set(node.name, ofPath(checkpoint, node.name))
    } else if (node.op === "Placeholder" || node.op === "PlaceholderWithDefault")
      inputs.push({ name: node.name, shape: TensorFlowNode.shapeOf(node) })
    else if (Object.hasOwn(handlers, node.op)) handlers[node.op]!(node, node.inputs, node.name)
    else if (Object.hasOwn(same, node.op)) emit(node, same[node.op]!, node.inputs, {}, node.name)
    else return refuse(node, "is an operation that no layer here carries out")
    for (const input of node.inputs) read.add(input)
  }
  const made = list.filter(({ name, op }) => !read.has(name) && op !== "Const" && op !== "Placeholder" && op !== "NoOp")
  return { inputs, outputs: TensorFlowNode.signed(topology) ?? made.map(({ name }) => name), nodes, constants }
}
