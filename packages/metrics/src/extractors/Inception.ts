/**
 * Inception-v3 as an ONNX graph, up to the requested feature. Two networks share the topology (Szegedy et al., 2015, as in
 * torchvision's `inception_v3`):
 *
 * - `fid`: the TensorFlow network of 2015-12-05 that every FID uses (`pt_inception-2015-12-05-6726825d.pth`). Average pools do
 *   not count their padding, the last block has a max pool, 1008 classes.
 * - `torchvision`: trained by torchvision. Average pools count their padding, 1000 classes.
 *
 * `Conv2d_1a_3x3` has no padding. With padding, feature maps would have the same shapes after the first max pool, so nothing would
 * fail, but FIDs would be wrong by several per cent.
 */
import { Failure, type Flat, type NdArray } from "@adafm/core"
import { Graph } from "@adafm/onnx"
import * as E from "fp-ts/lib/Either.js"

export type Network = "fid" | "torchvision"
/** Dimensions of the features after the first and the second max pool, after Mixed_6e and after the last block. */
export const DIMS = [64, 192, 768, 2048] as const
export type Dims = (typeof DIMS)[number]

/** Height and width of the input. */
export const SIZE = 299

/** Convolutions with batch norm folded in: `<path>.weight` OIHW, `<path>.bias`; `fc.weight`, `fc.bias`. */
export type Weights = Flat.Flat<NdArray.NdArray<"float32">>

interface Activation {
  readonly value: Graph.Value
  readonly channels: number
}

interface Layers {
  /** Convolution, bias, ReLU. Stride 1 keeps the size unless `padded` is false; stride 2 has no padding. */
  readonly conv: (
    x: Activation,
    path: string,
    kernel: readonly [number, number],
    stride?: 1 | 2,
    padded?: boolean,
  ) => Activation
  /** 3×3, stride 2, no padding. */
  readonly maxPool: (x: Activation) => Activation
  /** 3×3, stride 1, keeps the size. */
  readonly averagePool: (x: Activation) => Activation
  readonly maxPoolSame: (x: Activation) => Activation
  readonly concat: (maps: readonly Activation[]) => Activation
}

const layers = (g: Graph.Builder, weights: Weights, network: Network): Layers => {
  const pool = (type: string, x: Activation, attributes: Readonly<Record<string, Graph.Attribute>>): Activation => ({
    ...x,
    value: g.op(type, [x.value], { kernel_shape: [3, 3], ...attributes }),
  })
  const same = { strides: [1, 1], pads: [1, 1, 1, 1] }
  return {
    conv: (x, path, [kh, kw], stride = 1, padded = stride === 1) => {
      const weight = tensor(weights, `${path}.weight`, [undefined, x.channels, kh, kw])
      const channels = weight.shape[0]!
      const bias = tensor(weights, `${path}.bias`, [channels])
      const [h, w] = padded ? [(kh - 1) / 2, (kw - 1) / 2] : [0, 0]
      const y = g.op("Conv", [x.value, g.constant(weight), g.constant(bias)], {
        kernel_shape: [kh, kw],
        strides: [stride, stride],
        pads: [h, w, h, w],
      })
      return { value: g.op("Relu", [y]), channels }
    },
    maxPool: (x) => pool("MaxPool", x, { strides: [2, 2] }),
    averagePool: (x) => pool("AveragePool", x, { ...same, count_include_pad: network === "torchvision" ? 1 : 0 }),
    maxPoolSame: (x) => pool("MaxPool", x, same),
    concat: (maps) => ({
      value: g.op(
        "Concat",
        maps.map(({ value }) => value),
        { axis: 1 },
      ),
      channels: maps.reduce((n, { channels }) => n + channels, 0),
    }),
  }
}

const tensor = (weights: Weights, path: string, shape: readonly (number | undefined)[]): NdArray.NdArray<"float32"> => {
  const found = weights[path] ?? Failure.raise("MissingTensor", "the network needs this tensor", { path })
  const fits = found.shape.length === shape.length && shape.every((d, i) => d === undefined || d === found.shape[i])
  if (!fits)
    Failure.raise(
      "BadTensor",
      `expected shape [${shape.map((d) => d ?? "any").join(", ")}], found [${found.shape.join(", ")}]`,
      { path },
    )
  return found
}

/** Convolutions one after another. */
type Chain = readonly (readonly [name: string, kh: number, kw: number, stride?: 2])[]

const chain = ({ conv }: Layers, x: Activation, block: string, steps: Chain): Activation =>
  steps.reduce((y, [name, kh, kw, stride]) => conv(y, `${block}.${name}`, [kh, kw], stride ?? 1), x)

/** Mixed_5b, 5c, 5d (35×35). */
const blockA = (l: Layers, x: Activation, block: string): Activation =>
  l.concat([
    chain(l, x, block, [["branch1x1", 1, 1]]),
    chain(l, x, block, [
      ["branch5x5_1", 1, 1],
      ["branch5x5_2", 5, 5],
    ]),
    chain(l, x, block, [
      ["branch3x3dbl_1", 1, 1],
      ["branch3x3dbl_2", 3, 3],
      ["branch3x3dbl_3", 3, 3],
    ]),
    chain(l, l.averagePool(x), block, [["branch_pool", 1, 1]]),
  ])

/** Mixed_6a (35×35 → 17×17). */
const blockB = (l: Layers, x: Activation, block: string): Activation =>
  l.concat([
    chain(l, x, block, [["branch3x3", 3, 3, 2]]),
    chain(l, x, block, [
      ["branch3x3dbl_1", 1, 1],
      ["branch3x3dbl_2", 3, 3],
      ["branch3x3dbl_3", 3, 3, 2],
    ]),
    l.maxPool(x),
  ])

/** Mixed_6b … 6e (17×17). */
const blockC = (l: Layers, x: Activation, block: string): Activation =>
  l.concat([
    chain(l, x, block, [["branch1x1", 1, 1]]),
    chain(l, x, block, [
      ["branch7x7_1", 1, 1],
      ["branch7x7_2", 1, 7],
      ["branch7x7_3", 7, 1],
    ]),
    chain(l, x, block, [
      ["branch7x7dbl_1", 1, 1],
      ["branch7x7dbl_2", 7, 1],
      ["branch7x7dbl_3", 1, 7],
      ["branch7x7dbl_4", 7, 1],
      ["branch7x7dbl_5", 1, 7],
    ]),
    chain(l, l.averagePool(x), block, [["branch_pool", 1, 1]]),
  ])

/** Mixed_7a (17×17 → 8×8). */
const blockD = (l: Layers, x: Activation, block: string): Activation =>
  l.concat([
    chain(l, x, block, [
      ["branch3x3_1", 1, 1],
      ["branch3x3_2", 3, 3, 2],
    ]),
    chain(l, x, block, [
      ["branch7x7x3_1", 1, 1],
      ["branch7x7x3_2", 1, 7],
      ["branch7x7x3_3", 7, 1],
      ["branch7x7x3_4", 3, 3, 2],
    ]),
    l.maxPool(x),
  ])

/** Mixed_7b, 7c (8×8). */
const blockE = (l: Layers, x: Activation, block: string, pool: (x: Activation) => Activation): Activation => {
  const split = (y: Activation, a: string, b: string): Activation =>
    l.concat([chain(l, y, block, [[a, 1, 3]]), chain(l, y, block, [[b, 3, 1]])])
  return l.concat([
    chain(l, x, block, [["branch1x1", 1, 1]]),
    split(chain(l, x, block, [["branch3x3_1", 1, 1]]), "branch3x3_2a", "branch3x3_2b"),
    split(
      chain(l, x, block, [
        ["branch3x3dbl_1", 1, 1],
        ["branch3x3dbl_2", 3, 3],
      ]),
      "branch3x3dbl_3a",
      "branch3x3dbl_3b",
    ),
    chain(l, pool(x), block, [["branch_pool", 1, 1]]),
  ])
}

/** The feature map whose spatial mean is the feature. */
const trunk = (l: Layers, x: Activation, dims: Dims, network: Network): Activation => {
  let y = l.conv(x, "Conv2d_1a_3x3", [3, 3], 2)
  y = l.conv(y, "Conv2d_2a_3x3", [3, 3], 1, false)
  y = l.maxPool(l.conv(y, "Conv2d_2b_3x3", [3, 3]))
  if (dims === 64) return y
  y = l.conv(y, "Conv2d_3b_1x1", [1, 1])
  y = l.maxPool(l.conv(y, "Conv2d_4a_3x3", [3, 3], 1, false))
  if (dims === 192) return y
  for (const block of ["Mixed_5b", "Mixed_5c", "Mixed_5d"]) y = blockA(l, y, block)
  y = blockB(l, y, "Mixed_6a")
  for (const block of ["Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"]) y = blockC(l, y, block)
  if (dims === 768) return y
  y = blockD(l, y, "Mixed_7a")
  y = blockE(l, y, "Mixed_7b", l.averagePool)
  return blockE(l, y, "Mixed_7c", network === "fid" ? l.maxPoolSame : l.averagePool)
}

/**
 * The bytes of a model `x [N, 3, 299, 299] → features [N, dims]`. At 2048 dimensions, if `fc` is among the weights, it also has
 * the outputs `logits` and `logits_unbiased` (without the bias of `fc`), which torch-fidelity uses for the Inception Score.
 */
export const model = (weights: Weights, dims: Dims, network: Network): E.Either<Failure.Failure, Uint8Array> =>
  E.tryCatch(() => {
    const g = Graph.builder()
    const n = { param: "N" }
    const x = g.input("x", "float32", [n, 3, SIZE, SIZE])
    const { value, channels } = trunk(layers(g, weights, network), { value: x, channels: 3 }, dims, network)
    const features = g.op("Flatten", [g.op("GlobalAveragePool", [value])], { axis: 1 })
    g.output("features", features, "float32", [n, channels])
    if (dims === 2048 && weights["fc.weight"] !== undefined) {
      const weight = tensor(weights, "fc.weight", [undefined, channels])
      const classes = weight.shape[0]!
      const unbiased = g.op("Gemm", [features, g.constant(weight)], { transB: 1 })
      g.output("logits_unbiased", unbiased, "float32", [n, classes])
      const bias = g.constant(tensor(weights, "fc.bias", [classes]))
      g.output("logits", g.op("Add", [unbiased, bias]), "float32", [n, classes])
    }
    return Graph.encode(g.graph(), { metadata: { network, dims: String(dims) } })
  }, Failure.fromThrown)
