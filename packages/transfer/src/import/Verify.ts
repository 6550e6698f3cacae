/**
 * Compares an imported network with its file: the same inputs through the file's own graph, run by ONNX Runtime, and through the
 * network here. The file is opened with one thread and no optimisation that could hide a difference.
 */
import "@tensorflow/tfjs-backend-cpu"
import type { Checkpoint } from "@adafm/checkpoint"
import { Failure, Flat, Layout, NdArray, Rng } from "@adafm/core"
import type { Gan } from "@adafm/gan"
import { Session } from "@adafm/onnx"
import * as tf from "@tensorflow/tfjs-core"
import type * as Recognise from "../recognise/Recognise.ts"
import type * as StackModel from "../stacks/StackModel.ts"

type Float32 = NdArray.NdArray<"float32">
type Role = Recognise.Role

export interface Compared {
  /** Largest absolute difference. */
  readonly difference: number
  /** Largest absolute value of the file's output. */
  readonly largest: number
}
export type Verified = Partial<Record<Role, Compared>>

/** The largest difference that passes, of outputs around 1: float32 through some dozen layers, in another order of sums. */
export const TOLERANCE = 1e-3

const SAMPLES = 3

const load = (source: Recognise.Source): Flat.Flat<tf.Tensor> =>
  Flat.map(source.parameters, ({ from, permute, compute }) => {
    const stored = compute?.() ?? NdArray.toFloat32(source.checkpoint.read(from))
    const own = Layout.toCompute(permute === undefined ? stored : NdArray.permute(stored, permute))
    return tf.tensor(own.data, [...own.shape], "float32")
  })

const toTensor = (a: Float32): tf.Tensor => tf.tensor(a.data, [...a.shape], "float32")

const host = (t: tf.Tensor): Float32 => NdArray.float32(t.shape, t.dataSync() as Float32Array)

/** Whether a shape is that of images `[B, H, W, C]`, as TensorFlow writes them. */
const isChannelsLast = (shape: readonly unknown[], channels: number): boolean =>
  shape.length === 4 && shape[3] === channels && shape[1] !== channels

/** What ONNX Runtime makes of a file; a graph that it refuses is `NotVerified`. */
const running = async <A>(file: string, body: () => Promise<A>): Promise<A> => {
  try {
    return await body()
  } catch (thrown) {
    if (thrown instanceof Failure.Raised) throw thrown
    return Failure.raise(
      "NotVerified",
      `ONNX Runtime cannot run the file's graph (${Failure.fromThrown(thrown).message}): the file is damaged, or --no-verify imports it without the comparison`,
      { file },
    )
  }
}

/** Runs the file's graph on one sample after the other, because its batch size may be fixed. Images are `[C, H, W]` on both sides. */
const fileOutputs = async (
  file: string,
  names: { readonly input: string; readonly label: string | undefined; readonly output: string },
  samples: readonly Float32[],
  label: (session: Session.Session, index: number) => NdArray.NdArray | undefined,
  channels: number,
): Promise<readonly Float32Array[]> => {
  const session = await Session.create(file, { threads: 1, optimization: "disabled", arena: false })
  try {
    const shape = (session.inputShapes[names.input] ?? []).map((d) => (typeof d === "number" && d > 0 ? d : 1))
    const batch = shape[0] ?? 1
    const outputs: Float32Array[] = []
    for (const [index, sample] of samples.entries()) {
      const own =
        sample.shape.length === 3 && isChannelsLast(shape, channels) ? NdArray.permute(sample, [1, 2, 0]) : sample
      const data = Float32Array.from({ length: batch * own.data.length }, (_, i) => own.data[i % own.data.length]!)
      const given = label(session, index)
      const results = await session.run({
        [names.input]: NdArray.float32(shape, data),
        ...(names.label !== undefined && given !== undefined && { [names.label]: given }),
      })
      const result = results[names.output]!
      const first = Float32Array.from({ length: result.data.length / batch }, (_, i) =>
        Number((result.data as Float32Array)[i]),
      )
      const image = NdArray.float32(result.shape.slice(1), first)
      outputs.push(isChannelsLast(result.shape, channels) ? NdArray.permute(image, [2, 0, 1]).data : first)
    }
    return outputs
  } finally {
    await session.release()
  }
}

const compare = (
  ours: readonly ArrayLike<number>[],
  theirs: readonly Float32Array[],
  role: Role,
  file: string,
): Compared => {
  let [difference, largest] = [0, 0]
  for (const [k, expected] of theirs.entries()) {
    if (ours[k]!.length !== expected.length)
      Failure.raise(
        "NotVerified",
        `the file's ${role} makes ${expected.length} numbers, the imported one ${ours[k]!.length}`,
        { file },
      )
    for (const [i, value] of expected.entries()) {
      const d = Math.abs(ours[k]![i]! - value)
      if (!(d <= difference)) difference = d
      largest = Math.max(largest, Math.abs(value))
    }
  }
  if (!(difference <= TOLERANCE * Math.max(1, largest)))
    Failure.raise(
      "NotVerified",
      `the imported ${role} differs from the file run by ONNX Runtime by up to ${difference.toPrecision(3)} (its largest value is ${largest.toPrecision(3)}): this is an error of the import, please report it`,
      { file },
    )
  return { difference, largest }
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

/**
 * @returns null where no file can be run
 * @throws `NotVerified` where the outputs differ by more than `TOLERANCE` of the largest value, or the file cannot be run
 */
export const run = async (
  gan: Gan.Gan,
  sources: { readonly generator: Recognise.Source; readonly discriminator: Recognise.Source | undefined },
  graphs: StackModel.Read["graphs"],
): Promise<Verified | null> => {
  const runnable = (["generator", "discriminator"] as const).filter(
    (role) => graphs[role]?.checkpoint.topology?.kind === "onnx" && sources[role] !== undefined,
  )
  if (runnable.length === 0) return null
  tf.enableProdMode() // otherwise the backend logs advice to install tfjs-node
  await tf.setBackend("cpu")
  const verified: Verified = {}
  const [height, width, channels] = gan.image
  for (const role of runnable) {
    const { checkpoint, names, ending } = graphs[role]!
    const params = load(sources[role]!)
    const labels = (_: unknown, index: number): number => (gan.labels > 1 ? index % gan.labels : 0)
    const label = (session: Session.Session, index: number): NdArray.NdArray | undefined => {
      if (names.label === undefined) return undefined
      const shape = (session.inputShapes[names.label] ?? []).map((d) => (typeof d === "number" && d > 0 ? d : 1))
      const size = NdArray.sizeOf(shape)
      return size > 1
        ? NdArray.float32(
            shape,
            Float32Array.from({ length: size }, (_, i) => Number(i === labels(undefined, index))),
          )
        : NdArray.make("int64", shape, BigInt64Array.of(BigInt(labels(undefined, index))))
    }
    const y = tf.tensor1d(Array.from({ length: SAMPLES }, labels), "int32")
    const given = gan.labels > 1 ? { y } : {}
    if (role === "generator") {
      const z = Rng.normal(Rng.at(0, "verify/z"), [SAMPLES, gan.latent.dim])
      const rows = Array.from({ length: SAMPLES }, (_, k) =>
        NdArray.float32([gan.latent.dim], z.data.slice(k * gan.latent.dim, (k + 1) * gan.latent.dim)),
      )
      const images = host(gan.generate(params, { z: toTensor(z), ...given }))
      const own = rows.map((_, k) => sampleOf(images, k, ending))
      const theirs = await running(checkpoint.file, () => fileOutputs(checkpoint.file, names, rows, label, channels))
      verified[role] = compare(own, theirs, role, checkpoint.file)
    } else {
      const x = Rng.uniform(Rng.at(0, "verify/x"), [SAMPLES, height, width, channels], -1, 1)
      const size = height * width * channels
      const logits = host(gan.discriminate(params, toTensor(x), given.y))
      const moved = graphs.generator?.ending ?? undefined
      const samples = Array.from({ length: SAMPLES }, (_, k) => {
        const chw = Layout.imagesToFile(
          NdArray.float32([1, height, width, channels], x.data.slice(k * size, (k + 1) * size)),
        )
        return NdArray.float32(
          [channels, height, width],
          chw.data.map((v) => (moved?.kind === "affine" ? moved.scale * v + moved.shift : v)),
        )
      })
      const theirs = await running(checkpoint.file, () => fileOutputs(checkpoint.file, names, samples, label, channels))
      const means = theirs.map((all) => Float32Array.of(all.reduce((a, b) => a + b, 0) / all.length))
      const own = Array.from({ length: SAMPLES }, (_, k) => [
        ending?.kind === "sigmoid" ? sigmoid(logits.data[k]!) : logits.data[k]!,
      ])
      verified[role] = compare(own, means, role, checkpoint.file)
    }
    for (const tensor of Object.values(params)) tensor.dispose()
  }
  return verified
}

/** One image as the file would write it, (C, H, W). */
const sampleOf = (images: Float32, k: number, ending: { readonly kind: string } | undefined): Float32Array => {
  const chw = Layout.imagesToFile(images)
  const size = NdArray.sizeOf(chw.shape.slice(1))
  const own = chw.data.slice(k * size, (k + 1) * size)
  const affine = ending as { readonly kind: string; readonly scale: number; readonly shift: number } | undefined
  return affine?.kind === "affine" ? own.map((v) => affine.scale * v + affine.shift) : own
}

const FRAMEWORKS: Partial<Record<Checkpoint.Format, string>> = {
  keras: "Keras",
  tfjs: "TensorFlow.js",
  "tf-checkpoint": "TensorFlow",
}

/** Why the outputs of some networks were not compared with those of their files; null where all were. */
export const reason = (
  sources: Readonly<Record<Role, Recognise.Source | undefined>>,
  verified: Verified | null,
  wanted: boolean | undefined,
): string | null => {
  const left = (["generator", "discriminator"] as const).flatMap((role) =>
    verified?.[role] === undefined ? (sources[role]?.checkpoint ?? []) : [],
  )
  if (left.length === 0) return null
  if (wanted === false) return "--no-verify"
  const [{ format, topology }] = left as [Checkpoint.Checkpoint]
  const network = FRAMEWORKS[format]
  if (topology?.kind === "onnx")
    return "its tensors have the names of a known architecture and were read by them, not by the graph: look at some samples"
  if (topology === undefined || network === undefined)
    return "the file holds weights without the network, so that nothing can run it: look at some samples"
  return `only ONNX Runtime can run files here, and this is one of ${network}: look at some samples`
}
