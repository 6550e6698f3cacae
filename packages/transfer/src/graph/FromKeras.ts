/**
 * A model that Keras describes (`.h5`, `.keras`, TensorFlow.js layers models) as operators. Feature maps of Keras are `[B, H, W, C]`;
 * transposes around the operators say so. https://keras.io/api/layers
 */
import { type Checkpoint, JsonFile, type Topology } from "@adafm/checkpoint"
import * as Constant from "./Constant.ts"
import { ofPath } from "./FromOnnx.ts"
import * as KerasLayer from "./KerasLayer.ts"
import type * as Operators from "./Operators.ts"

type Json = KerasLayer.Json
type Layer = KerasLayer.Layer
const { bad, history, layersOf, numbersOf, one, padding, sides } = KerasLayer

const MAX_DEPTH = 16

/** Operators of activations, by Keras' names. */
const activations: Readonly<Record<string, readonly [op: string, attributes?: Operators.Node["attributes"]]>> = {
  relu: ["Relu"],
  tanh: ["Tanh"],
  sigmoid: ["Sigmoid"],
  elu: ["Elu"],
  selu: ["Selu"],
  softplus: ["Softplus"],
  swish: ["Silu"],
  silu: ["Silu"],
  leaky_relu: ["LeakyRelu", { alpha: 0.2 }],
}

/** Layers that change nothing outside training. */
const IDLE = new Set([
  "Dropout",
  "SpatialDropout2D",
  "GaussianNoise",
  "GaussianDropout",
  "AlphaDropout",
  "ActivityRegularization",
  "InputLayer",
  "Identity",
])

interface Writer {
  readonly nodes: Operators.Node[]
  readonly constants: Map<string, Constant.Constant>
  readonly inputs: Operators.Input[]
}

const model = (config: Json, topology: Topology.KerasModel, checkpoint: Checkpoint.Checkpoint): Operators.Graph => {
  const writer: Writer = { nodes: [], constants: new Map(), inputs: [] }
  let count = 0
  const emit = (
    op: string,
    name: string,
    inputs: readonly string[],
    attributes: Operators.Node["attributes"] = {},
  ): string => {
    const output = `${name}#${count++}`
    writer.nodes.push({ name, op, inputs, outputs: [output], attributes })
    return output
  }
  const toImages = (layer: Layer, x: string): string => emit("Transpose", layer.name, [x], { perm: [0, 3, 1, 2] })
  const back = (layer: Layer, x: string): string => emit("Transpose", layer.name, [x], { perm: [0, 2, 3, 1] })
  const isFirst = ({ config }: Layer): boolean => config.data_format === "channels_first"
  /** An operator on images, with the transposes that Keras' order of axes needs. */
  const onImages = (layer: Layer, x: string, op: (x: string) => string): string =>
    isFirst(layer) ? op(x) : back(layer, op(toImages(layer, x)))
  /** The tensor of a layer by its name or by its place in the layer's list. */
  const weight = (layer: Layer, name: string, place: number): string => {
    const own = topology.weights[layer.name] ?? []
    const path =
      own.find((p) => p.replace(/:\d+$/, "").split("/").at(-1) === name) ?? (own.some(isNamed) ? undefined : own[place])
    if (path === undefined || checkpoint.tensors[path] === undefined)
      return bad(`the layer ${layer.name} (${layer.class}) has no tensor ${name} in the file`, layer.name)
    const key = `${layer.name}/${name}`
    writer.constants.set(key, ofPath(checkpoint, path))
    return key
  }
  const derived = (key: string, f: (c: Constant.Constant) => Constant.Constant): string => {
    writer.constants.set(key, f(writer.constants.get(key)!))
    return key
  }
  const literal = (values: readonly number[], shape: readonly number[] = [values.length]): string => {
    const key = `#literal ${count++}`
    writer.constants.set(key, Constant.of(shape, values))
    return key
  }
  const activated = (layer: Layer, x: string, value: unknown): string => {
    const given = JsonFile.isObject(value)
      ? [value.class_name, JsonFile.isObject(value.config) ? value.config : {}]
      : [value, {}]
    const [name, own] = given as [unknown, Json]
    if (name === undefined || name === null || name === "linear") return x
    if (JsonFile.isObject(value) && classes[String(name)] !== undefined)
      return apply({ ...layer, class: String(name), config: own }, [x])
    const found = activations[String(name).toLowerCase()]
    return found === undefined
      ? bad(`the layer ${layer.name} has the activation ${JSON.stringify(name)}, which is not supported`, layer.name)
      : emit(found[0], layer.name, [x], found[1])
  }
  const bias = (layer: Layer, place: number): readonly string[] =>
    layer.config.use_bias === false ? [] : [weight(layer, "bias", place)]
  const convolution = (layer: Layer, x: string, op: "Conv" | "ConvTranspose"): string => {
    const kernel = derived(weight(layer, "kernel", 0), (c) =>
      c.shape.length === 4
        ? Constant.permute(c, [3, 2, 0, 1])
        : bad(`the kernel of ${layer.name} has ${c.shape.length} axes; four are needed`, layer.name),
    )
    const stride = one(layer, "strides", 1)
    const output = layer.config.output_padding
    const size = one(layer, "kernel_size", 1)
    const explicit = op === "ConvTranspose" && output !== undefined && output !== null
    const half = padding(layer) === "VALID" ? 0 : Math.floor(size / 2)
    const attributes = {
      strides: [stride, stride],
      dilations: [one(layer, "dilation_rate", 1), one(layer, "dilation_rate", 1)],
      group: one(layer, "groups", 1),
      ...(explicit
        ? {
            pads: [half, half, half, half],
            output_padding: [one(layer, "output_padding", 0), one(layer, "output_padding", 0)],
          }
        : { auto_pad: padding(layer) }),
      // a kernel smaller than its stride leaves rows between; Keras keeps those after the last one too
      ...(op === "ConvTranspose" &&
        !explicit &&
        padding(layer) === "VALID" &&
        size < stride && {
          output_padding: [stride - size, stride - size],
        }),
    }
    const y = onImages(layer, x, (v) => emit(op, layer.name, [v, kernel, ...bias(layer, 1)], attributes))
    return activated(layer, y, layer.config.activation)
  }
  const batchNorm = (layer: Layer, x: string): string => {
    const { config: own } = layer
    const scale = own.scale !== false
    const center = own.center !== false
    const places = { gamma: 0, beta: Number(scale), mean: Number(scale) + Number(center) }
    const mean = weight(layer, "moving_mean", places.mean)
    const variance = weight(layer, "moving_variance", places.mean + 1)
    const size = writer.constants.get(mean)!.shape[0]!
    const gamma = scale ? weight(layer, "gamma", places.gamma) : literal(Array(size).fill(1))
    const beta = center ? weight(layer, "beta", places.beta) : literal(Array(size).fill(0))
    const [axis] = numbersOf([own.axis].flat()) ?? [-1]
    const attributes = { epsilon: Number(own.epsilon ?? 1e-3), momentum: Number(own.momentum ?? 0.99) }
    const inputs = [gamma, beta, mean, variance]
    return emit("BatchNormalization", layer.name, [x, ...inputs], { ...attributes, axis: axis! })
  }
  const pool = (layer: Layer, x: string, op: string): string => {
    const kernel = one(layer, "pool_size", 2)
    const stride = one(layer, "strides", kernel)
    const attributes = { kernel_shape: [kernel, kernel], strides: [stride, stride], auto_pad: padding(layer) }
    return onImages(layer, x, (v) => emit(op, layer.name, [v], attributes))
  }
  const globalPool = (layer: Layer, x: string, op: string): string => {
    const y = emit(op, layer.name, [isFirst(layer) ? x : toImages(layer, x)])
    return layer.config.keepdims === true
      ? isFirst(layer)
        ? y
        : back(layer, y)
      : emit("Squeeze", layer.name, [y], { axes: [2, 3] })
  }
  const padded = (layer: Layer, x: string, sign: number): string => {
    const [top, left, bottom, right] = sides(layer, sign > 0 ? "padding" : "cropping").map((n) => sign * n)
    const pads = literal([0, 0, top!, left!, 0, 0, bottom!, right!])
    return onImages(layer, x, (v) => emit("Pad", layer.name, [v, pads]))
  }
  const upsample = (layer: Layer, x: string): string => {
    const factor = one(layer, "size", 2)
    const mode = layer.config.interpolation ?? "nearest"
    if (mode !== "nearest" && mode !== "bilinear")
      return bad(
        `the layer ${layer.name} interpolates by ${String(mode)}; nearest and bilinear are supported`,
        layer.name,
      )
    const attributes =
      mode === "nearest"
        ? { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" }
        : { mode: "linear", coordinate_transformation_mode: "half_pixel" }
    return onImages(layer, x, (v) => emit("Resize", layer.name, [v, "", literal([1, 1, factor, factor])], attributes))
  }
  const layerNorm = (layer: Layer, x: string): string => {
    const { config: own } = layer
    const scale = own.scale !== false
    const [axis] = numbersOf([own.axis].flat()) ?? [-1]
    const gamma = scale ? weight(layer, "gamma", 0) : ""
    const beta = own.center === false ? "" : weight(layer, "beta", Number(scale))
    return emit("LayerNormalization", layer.name, [x, gamma, beta], {
      axes: numbersOf(own.axis) ?? [axis ?? -1],
      epsilon: Number(own.epsilon ?? 1e-3),
    })
  }
  const groupNorm = (layer: Layer, x: string): string => {
    const { config: own } = layer
    const scale = own.scale !== false
    const gamma = scale ? weight(layer, "gamma", 0) : ""
    const beta = own.center === false ? "" : weight(layer, "beta", Number(scale))
    const groups = Number(own.groups ?? 32)
    const attributes = { num_groups: groups, epsilon: Number(own.epsilon ?? 1e-3) }
    return onImages(layer, x, (v) =>
      groups === -1 || layer.class === "InstanceNormalization"
        ? emit("InstanceNormalization", layer.name, [v, gamma, beta], attributes)
        : emit("GroupNormalization", layer.name, [v, gamma, beta], attributes),
    )
  }
  const first = (layer: Layer, inputs: readonly string[]): string =>
    inputs[0] ?? bad(`the layer ${layer.name} reads nothing`, layer.name)
  const classes: Readonly<Record<string, (layer: Layer, inputs: readonly string[]) => string>> = {
    Dense: (layer, [x]) => {
      const y = emit("MatMul", layer.name, [x!, weight(layer, "kernel", 0)])
      const [b] = bias(layer, 1)
      return activated(layer, b === undefined ? y : emit("Add", layer.name, [y, b]), layer.config.activation)
    },
    Conv2D: (layer, [x]) => convolution(layer, x!, "Conv"),
    Conv2DTranspose: (layer, [x]) => convolution(layer, x!, "ConvTranspose"),
    BatchNormalization: (layer, [x]) => batchNorm(layer, x!),
    LayerNormalization: (layer, [x]) => layerNorm(layer, x!),
    GroupNormalization: (layer, [x]) => groupNorm(layer, x!),
    InstanceNormalization: (layer, [x]) => groupNorm(layer, x!),
    Activation: (layer, [x]) => activated(layer, x!, layer.config.activation),
    ReLU: (layer, [x]) => {
      const { negative_slope = 0, max_value = null, threshold = 0 } = layer.config
      if (threshold !== 0) return bad(`the layer ${layer.name} has a threshold`, layer.name)
      if (max_value !== null) return emit("Clip", layer.name, [x!, literal([0], []), literal([Number(max_value)], [])])
      return Number(negative_slope) === 0
        ? emit("Relu", layer.name, [x!])
        : emit("LeakyRelu", layer.name, [x!], { alpha: Number(negative_slope) })
    },
    LeakyReLU: (layer, [x]) =>
      emit("LeakyRelu", layer.name, [x!], { alpha: Number(layer.config.negative_slope ?? layer.config.alpha ?? 0.3) }),
    ELU: (layer, [x]) => emit("Elu", layer.name, [x!], { alpha: Number(layer.config.alpha ?? 1) }),
    PReLU: (layer, [x]) => emit("PRelu", layer.name, [x!, weight(layer, "alpha", 0)]),
    Reshape: (layer, [x]) => {
      const target =
        numbersOf(layer.config.target_shape) ?? bad(`the layer ${layer.name} has no target_shape`, layer.name)
      return emit("Reshape", layer.name, [x!], { shape: [0, ...target] })
    },
    Permute: (layer, [x]) =>
      emit("Transpose", layer.name, [x!], { perm: [0, ...(numbersOf(layer.config.dims) ?? [])] }),
    Flatten: (layer, [x]) => emit("Flatten", layer.name, [isFirst(layer) ? back(layer, x!) : x!], { axis: 1 }),
    UpSampling2D: (layer, [x]) => upsample(layer, x!),
    ZeroPadding2D: (layer, [x]) => padded(layer, x!, 1),
    Cropping2D: (layer, [x]) => padded(layer, x!, -1),
    MaxPooling2D: (layer, [x]) => pool(layer, x!, "MaxPool"),
    AveragePooling2D: (layer, [x]) => pool(layer, x!, "AveragePool"),
    GlobalAveragePooling2D: (layer, [x]) => globalPool(layer, x!, "GlobalAveragePool"),
    GlobalMaxPooling2D: (layer, [x]) => globalPool(layer, x!, "GlobalMaxPool"),
    Add: (layer, inputs) => inputs.reduce((a, b) => emit("Add", layer.name, [a, b])),
    Multiply: (layer, inputs) => inputs.reduce((a, b) => emit("Mul", layer.name, [a, b])),
    Subtract: (layer, [a, b]) => emit("Sub", layer.name, [a!, b!]),
    Concatenate: (layer, inputs) => emit("Concat", layer.name, inputs, { axis: Number(layer.config.axis ?? -1) }),
    Embedding: (layer, [x]) => emit("Gather", layer.name, [weight(layer, "embeddings", 0), x!]),
    Rescaling: (layer, [x]) => {
      const scaled = emit("Mul", layer.name, [x!, literal([Number(layer.config.scale ?? 1)], [])])
      return emit("Add", layer.name, [scaled, literal([Number(layer.config.offset ?? 0)], [])])
    },
  }
  const apply = (layer: Layer, inputs: readonly string[]): string => {
    if (IDLE.has(layer.class)) return first(layer, inputs)
    const found = Object.hasOwn(classes, layer.class) ? classes[layer.class] : undefined
    if (found === undefined)
      return bad(`the layer ${layer.name} is a ${layer.class}, which no layer here carries out`, layer.name)
    first(layer, inputs)
    return found(layer, inputs)
  }
  /** @returns the outputs of a model, which may be a layer of another */
  const walk = (own: Json, given: readonly string[], depth: number): readonly string[] => {
    if (depth > MAX_DEPTH) return bad(`models are nested more than ${MAX_DEPTH} deep`)
    const layers = layersOf(own)
    const values = new Map<string, string>()
    let [last, next]: [string | undefined, number] = [given[0], 0]
    const inner = (layer: Layer, inputs: readonly string[]): string =>
      Array.isArray(layer.config.layers) ? walk(layer.config, inputs, depth + 1)[0]! : apply(layer, inputs)
    for (const layer of layers) {
      const isInput = layer.class === "InputLayer"
      const isSequential = layer.inputs.length === 0
      if (isInput || (isSequential && last === undefined)) {
        const outer = given[next++]
        if (outer !== undefined) last = outer
        else {
          writer.inputs.push({ name: layer.name, shape: KerasLayer.inputShape(layer, own) })
          last = layer.name
        }
      }
      const inputs = isSequential
        ? [last!]
        : layer.inputs.map(
            (name) => values.get(name) ?? bad(`the layer ${layer.name} reads ${name}, which comes later`, layer.name),
          )
      last = inner(layer, inputs)
      values.set(layer.name, last)
    }
    const outputs = history(own.output_layers)
      .map((name) => values.get(name))
      .filter((v) => v !== undefined)
    return outputs.length > 0 ? outputs : last === undefined ? bad("the model has no layers") : [last]
  }
  const outputs = walk(config, [], 0)
  return { ...writer, outputs }
}

const NAMES = new Set(["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "embeddings", "alpha"])
const isNamed = (path: string): boolean => NAMES.has(path.replace(/:\d+$/, "").split("/").at(-1)!)

export const graph = (topology: Topology.KerasModel, checkpoint: Checkpoint.Checkpoint): Operators.Graph => {
  const { config } = topology
  // Keras 2.0 wrote a sequential model as a bare list
  const layers = Array.isArray(config.config) ? { layers: config.config } : config.config
  return JsonFile.isObject(layers) ? model(layers, topology, checkpoint) : bad("the model has no config")
}
