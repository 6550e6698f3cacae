/** One evaluation of a network on given tensors, to compare it with another implementation. */
import { Failure, Flat, Grad, Layout, NdArray, Ops, Safetensors } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { Gan, ModelFolder } from "@adafm/gan"
import type * as tf from "@tensorflow/tfjs-core"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Model from "../run/Model.ts"
import type * as RunCheckpoint from "../run/RunCheckpoint.ts"
import * as Sampler from "../run/Sampler.ts"

export interface Options extends Model.Notes {
  /** A model folder or a run. */
  readonly model: string
  readonly net: "generator" | "discriminator"
  /**
   * Safetensors. Generator: `z [N, dim]`, `y [N]` or `y_float [N, embed]`, `noise/k [N, 1, H, W]`. Discriminator:
   * `x [N, C, H, W]`, `y [N]`.
   */
  readonly inputs: string
  readonly out: string
  /** Write the discriminator's input gradient too. */
  readonly grad?: boolean
  readonly batchNorm?: "stored" | "batch"
  readonly raw?: boolean
  /** Which checkpoint of a run; the last by default. */
  readonly checkpoint?: RunCheckpoint.Wanted
}

export interface Outcome {
  readonly out: string
  readonly tensors: readonly string[]
}

type Float32 = NdArray.NdArray<"float32">
type Norm = "stored" | "batch"

/** Takes inputs by name and checks their shapes. */
const reader = (arrays: Flat.Flat<NdArray.NdArray>, file: string) => {
  const bad = (path: string, message: string): never => Failure.raise("BadInput", message, { file, path })
  /** @param shape of one row */
  const floats = (path: string, shape: readonly number[], rows?: number): Float32 => {
    const array =
      arrays[path] ?? bad(path, `expected a tensor ${path}, found ${Object.keys(arrays).join(", ") || "no tensors"}`)
    const n = array.shape[0] ?? 0
    if (array.data.length !== n * NdArray.sizeOf(shape) || n === 0 || (rows !== undefined && n !== rows))
      bad(path, `expected [${[rows ?? "N", ...shape].join(", ")}], found [${array.shape.join(", ")}]`)
    return NdArray.reshape(NdArray.toFloat32(array), [n, ...shape])
  }
  const labels = (path: string, rows: number, classes: number): NdArray.NdArray<"int32"> => {
    const { data } = floats(path, [], rows)
    const wrong = data.find((label) => !Number.isInteger(label) || label < 0 || label >= classes)
    if (wrong !== undefined) bad(path, `expected labels from 0 to ${classes - 1}, found ${wrong}`)
    return NdArray.int32([rows], Int32Array.from(data))
  }
  return { has: (path: string): boolean => arrays[path] !== undefined, floats, labels }
}
type Reader = ReturnType<typeof reader>

/** Compiles a step, runs it once and disposes of it. */
const evaluate = async (
  engine: Engine.Engine,
  step: Engine.Step,
  state: Engine.Arrays,
  batch: Engine.Arrays,
): Promise<Engine.Arrays> => {
  const spec = ({ shape, dtype }: Engine.Arrays[string]): Engine.Spec => ({ shape, dtype })
  const program = await engine.compile(step, { state: Flat.map(state, spec), batch: Flat.map(batch, spec) })
  try {
    program.write(state)
    return await program.run(batch)
  } finally {
    await program.dispose()
  }
}

/** Length of a label's embedding, in networks that take a label as such a row of numbers (`y_float`). */
const embedOf = (gan: Gan.Gan): number | undefined => {
  const config = Gan.plain(gan.config)
  return Gan.isUnlabelled(config) ? undefined : config.embed
}

const generator = async (
  { gan, ...model }: Model.Model,
  engine: Engine.Engine,
  given: Reader,
  norm: Norm,
): Promise<Flat.Flat<Float32>> => {
  const z = given.floats("z", [gan.latent.dim])
  const n = z.shape[0]!
  const noise = Flat.fromEntries(
    gan.noise.map(
      ([h, w], k) => [`noise/${k}`, Layout.imagesToCompute(given.floats(`noise/${k}`, [1, h, w], n))] as const,
    ),
  )
  const embed = embedOf(gan)
  /** One evaluation for each kind of label that the file holds. */
  const ways: Record<string, Engine.Arrays> = {}
  if (given.has("y_float") && embed !== undefined) ways.y_float = { y: given.floats("y_float", [embed], n) }
  if (gan.labels > 1 && (given.has("y") || ways.y_float === undefined)) ways.y = { y: given.labels("y", n, gan.labels) }
  else if (ways.y_float === undefined) ways.y = {}
  const state = Flat.map(model.generator, Layout.toCompute)
  const images = async (way: Engine.Arrays): Promise<Float32> => {
    const { image } = await evaluate(
      engine,
      Sampler.step(gan, norm),
      state,
      Flat.merge<Engine.Arrays[string]>({ z }, noise, way),
    )
    return Layout.imagesToFile(image as Float32)
  }
  const { y, y_float } = ways
  if (y === undefined) return { image: await images(y_float!) }
  return { image: await images(y), ...(y_float && { image_y_float: await images(y_float) }) }
}

/** `D(x)`; with `grad` also `∂ΣD/∂x` and its squared norm per image, from the same pass. */
export const judge =
  (gan: Gan.Gan, norm: Norm, grad: boolean): Engine.Step =>
  (state, { x, y }) => {
    const logits = (images: tf.Tensor): tf.Tensor => gan.discriminate(state, images, y, norm)
    if (!grad) return { stats: { logit: logits(x!) } }
    const { value, grad: input_grad } = Grad.valueAndInputGrad(logits, x!)
    return { stats: { logit: value, input_grad, r1_per_image: Ops.squaredNorms(input_grad) } }
  }

const discriminator = async (
  { gan, ...model }: Model.Model,
  engine: Engine.Engine,
  given: Reader,
  norm: Norm,
  grad: boolean,
): Promise<Flat.Flat<Float32>> => {
  const [height, width, channels] = gan.image
  const x = given.floats("x", [channels, height, width])
  const n = x.shape[0]!
  const batch = Flat.merge<Engine.Arrays[string]>(
    { x: Layout.imagesToCompute(x) },
    gan.labels > 1 ? { y: given.labels("y", n, gan.labels) } : {},
  )
  const results = await evaluate(engine, judge(gan, norm, grad), Flat.map(model.discriminator, Layout.toCompute), batch)
  // GP-GAN picks one logit of each row, `[n]`; a discriminator without labels returns `[n, 1]`, as in PyTorch
  const plain = Gan.plain(gan.config)
  const column = Gan.isUnlabelled(plain) || plain.architecture === "gpgan-small-head"
  return Flat.map(results as Flat.Flat<Float32>, (array, name) =>
    name === "logit" ? NdArray.reshape(array, column ? [n, 1] : [n]) : Layout.imagesToFile(array),
  )
}

export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const { net, inputs, out, grad = false, raw = false, checkpoint } = options
    const { tensors } = await Failure.orThrow(Safetensors.read(inputs))
    const model = await Failure.orThrow(
      Model.open(options.model, { raw, onNote: options.onNote, ...(checkpoint !== undefined && { checkpoint }) }),
    )
    const norm = options.batchNorm ?? model.description.batchNorm
    if (net === "discriminator")
      ModelFolder.requireDiscriminator(model, "import it again with its discriminator", options.model)
    const given = reader(tensors, inputs)
    const results =
      net === "generator"
        ? await generator(model, engine, given, norm)
        : await discriminator(model, engine, given, norm, grad)
    await Failure.orThrow(Safetensors.write(out, results))
    return { out, tensors: Object.keys(results) }
  })
