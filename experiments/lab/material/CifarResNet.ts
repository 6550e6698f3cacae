/**
 * ResNet-20 and ResNet-56 for CIFAR-10 (He et al. 2016; weights of akamaster/pytorch_resnet_cifar10, BSD 2-clause), read from the
 * shared data: cheap features at 32 px for curves, and a second opinion next to Inception.
 */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Checkpoint } from "@adafm/checkpoint"
import { Failure, Files, Flat, NdArray, Ops } from "@adafm/core"
import { WeightFolders } from "@adafm/job"
import { Graph } from "@adafm/onnx"
import * as tf from "@tensorflow/tfjs-core"

const FILES = { "resnet-20": "resnet20-12fca82f.th", "resnet-56": "resnet56-4bfd9763.th" } as const
export type Name = keyof typeof FILES

export const isName = (name: string): name is Name => Object.hasOwn(FILES, name)

/** The file of the weights. */
export const fileOf = (name: Name): string => join("..", "shared", "data", "checkpoints", "resnet-cifar10", FILES[name])

/** Residual blocks of each of the three stages. */
const BLOCKS = { "resnet-20": 3, "resnet-56": 9 } as const
const WIDTHS = [16, 32, 64] as const
export const DIMS = 64
export const SIZE = 32
const CLASSES = 10
const EPS = 1e-5
/** Input = (x / 255 - mean) / std. */
export const NORM = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const

export type Params = Flat.Flat<NdArray.NdArray<"float32">>

/** Parameters under the checkpoint's names (`conv1.weight`, `layer1.0.bn1.running_mean`, …). */
export const read = (name: Name): Promise<Params> =>
  Failure.orThrow(
    Checkpoint.use(fileOf(name), ({ tensors, read: one }) =>
      Object.fromEntries(
        Object.keys(tensors).map((path) => [path.replace(/^state_dict\/module\./, ""), NdArray.toFloat32(one(path))]),
      ),
    ),
  )

interface Block {
  /** Prefix of its parameters' paths. */
  readonly at: string
  /** Halves height and width and doubles the channels. */
  readonly narrow: boolean
  readonly width: number
}

const blocksOf = (name: Name): readonly Block[] =>
  WIDTHS.flatMap((width, stage) =>
    Array.from({ length: BLOCKS[name] }, (_, block) => ({
      at: `layer${stage + 1}.${block}`,
      narrow: stage > 0 && block === 0,
      width,
    })),
  )

/** A convolution without bias and the batch norm after it, folded into one filter and bias. */
const folded = (params: Params, conv: string, norm: string) => {
  const of = (path: string): NdArray.NdArray<"float32"> =>
    params[path] ?? Failure.raise("BadTensor", "the ResNet's checkpoint does not have this tensor", { path })
  const weight = of(`${conv}.weight`)
  const [gain, shift, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(
    (part) => of(`${norm}.${part}`).data,
  )
  const scale = gain!.map((g, o) => g / Math.sqrt(variance![o]! + EPS))
  const each = weight.data.length / scale.length
  return {
    weight: NdArray.float32(
      weight.shape,
      weight.data.map((w, i) => w * scale[Math.floor(i / each)]!),
    ),
    bias: NdArray.float32(
      [scale.length],
      scale.map((s, o) => shift![o]! - mean![o]! * s),
    ),
  }
}

/**
 * The network for training, with folded batch norms (`….weight`, `….bias`, OIHW). Where a stage halves the size, a constant `….skip`
 * takes every second pixel and leaves zeros for the new channels.
 */
export const network = (params: Params, name: Name) => {
  const convs = ["conv1", ...blocksOf(name).flatMap(({ at }) => [`${at}.conv1`, `${at}.conv2`])]
  const own = convs.map((path): Params => {
    const { weight, bias } = folded(params, path, path.replace(/conv(\d)$/, "bn$1"))
    return { [`${path}.weight`]: weight, [`${path}.bias`]: bias }
  })
  const skips = blocksOf(name).flatMap(({ at, narrow, width }): Params[] => {
    if (!narrow) return []
    const out = NdArray.zeros("float32", [width, width / 2, 1, 1])
    for (let c = 0; c < width / 2; c++) out.data[(c + width / 4) * (width / 2) + c] = 1
    return [{ [`${at}.skip`]: out }]
  })
  const logits = (p: Flat.Flat<tf.Tensor>, images: tf.Tensor): tf.Tensor2D => {
    const conv = (x: tf.Tensor, path: string, stride: number): tf.Tensor =>
      tf.add(Ops.conv2d(x, p[`${path}.weight`]!, { stride, pad: 1 }), p[`${path}.bias`]!)
    let x: tf.Tensor = Ops.relu(conv(images, "conv1", 1))
    for (const { at, narrow } of blocksOf(name)) {
      const skipped = narrow ? Ops.conv2d(x, p[`${at}.skip`]!, { stride: 2, pad: 0 }) : x
      const inner = Ops.relu(conv(x, `${at}.conv1`, narrow ? 2 : 1))
      x = Ops.relu(tf.add(conv(inner, `${at}.conv2`, 1), skipped))
    }
    return Ops.linear(tf.mean(x, [1, 2]), p["fc.weight"]!, p["fc.bias"]!)
  }
  return { weights: Flat.merge(...own, ...skips), logits }
}

/** The bytes of an ONNX model `x [N, 3, 32, 32] → features [N, 64], logits [N, 10]`. */
export const model = (params: Params, name: Name): Uint8Array => {
  const g = Graph.builder()
  const n = { param: "N" }
  const conv = (x: Graph.Value, path: string, norm: string, stride: number): Graph.Value => {
    const { weight, bias } = folded(params, path, norm)
    const geometry = { kernel_shape: [3, 3], strides: [stride, stride], pads: [1, 1, 1, 1] }
    return g.op("Conv", [x, g.constant(weight), g.constant(bias)], geometry)
  }
  let x = g.op("Relu", [conv(g.input("x", "float32", [n, 3, SIZE, SIZE]), "conv1", "bn1", 1)])
  for (const { at, narrow, width } of blocksOf(name)) {
    // every second pixel, and zeros for the new channels, half of them before the others
    const pad = width / 4
    const skipped = narrow
      ? g.op("Pad", [
          g.op("AveragePool", [x], { kernel_shape: [1, 1], strides: [2, 2] }),
          g.ints([0, pad, 0, 0, 0, pad, 0, 0]),
        ])
      : x
    const inner = g.op("Relu", [conv(x, `${at}.conv1`, `${at}.bn1`, narrow ? 2 : 1)])
    x = g.op("Relu", [g.op("Add", [conv(inner, `${at}.conv2`, `${at}.bn2`, 1), skipped])])
  }
  const features = g.op("Flatten", [g.op("GlobalAveragePool", [x])], { axis: 1 })
  g.output("features", features, "float32", [n, DIMS])
  const [weight, bias] = [params["linear.weight"]!, params["linear.bias"]!]
  const logits = g.op("Gemm", [features, g.constant(weight), g.constant(bias)], { transB: 1 })
  g.output("logits", logits, "float32", [n, CLASSES])
  return Graph.encode(g.graph())
}

export const isHere = (name: Name): boolean => existsSync(fileOf(name))

/** Writes the network to the cache as a custom extractor, an `.onnx` with its declaration; returns its path. */
export const extractor = async (name: Name): Promise<string> => {
  const bytes = model(await read(name), name)
  const hash = createHash("sha256").update(bytes).digest("hex")
  const file = join(WeightFolders.cache(), "graphs", `${name}-${hash.slice(0, 16)}.onnx`)
  if (existsSync(file)) return file
  const declaration = { name, size: SIZE, dims: DIMS, mean: [...NORM.mean], std: [...NORM.std] }
  await Failure.orThrow(Files.write(file.replace(/onnx$/, "json"), JSON.stringify(declaration)))
  await Failure.orThrow(Files.write(file, bytes))
  return file
}
