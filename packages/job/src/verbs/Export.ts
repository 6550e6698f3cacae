/**
 * Models for other programs, with their modulation folded into the filters: a generator as an `.onnx` file of standard operators,
 * checked in ONNX Runtime before it is written, or both networks as a file that PyTorch reads.
 */
import { Modulate } from "@adafm/adafm"
import { Failure, Files, Flat, Layout, type NdArray } from "@adafm/core"
import * as Engine from "@adafm/engine"
import { Gan, ModelFolder, type State, type Step } from "@adafm/gan"
import { Session } from "@adafm/onnx"
import { TorchExport } from "@adafm/transfer"
import * as tf from "@tensorflow/tfjs-core"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Model from "../run/Model.ts"
import type * as RunCheckpoint from "../run/RunCheckpoint.ts"
import * as Sampler from "../run/Sampler.ts"

export interface Options extends Model.Notes {
  /** A model folder or a run. */
  readonly model: string
  /** The file to write. */
  readonly onnx: string
  readonly seed: number
  readonly raw?: boolean
  /** Which checkpoint of a run; the last by default. */
  readonly from?: RunCheckpoint.Wanted
}

/** What both ways of exporting tell of a run: the checkpoint that was read. */
interface Read {
  readonly checkpoint?: RunCheckpoint.Chosen
}

export interface Outcome extends Read {
  readonly out: string
  readonly bytes: number
  readonly opset: number
  /** Largest difference of a pixel value between the file in ONNX Runtime and the model on the engine. */
  readonly maxAbsDiff: number
  /** Shapes of the inputs by name, without the batch axis. */
  readonly inputs: Readonly<Record<string, readonly number[]>>
}

/** The opset of `Graph.encode`. */
const OPSET = 18
/** Images that are compared. */
const IMAGES = 4
/** A larger difference between images in [-1, 1] is not rounding. */
const TOLERANCE = 1e-3

/** The networks without their modulation, which is folded into the filters; an input-conditioned one remains. */
export const folded = ({
  modulation = {},
  description,
  ...networks
}: Model.Model): Pick<Model.Model, "gan" | Step.Net> => {
  const fold = (net: Step.Net): State.Params => {
    const own = modulation[net]
    return own === undefined ? networks[net] : Modulate.fold(own, networks[net])
  }
  return { gan: ModelFolder.ganOf(description), generator: fold("generator"), discriminator: fold("discriminator") }
}

/** In the file noise maps have the layout of images, `[N, 1, H, W]`. */
const inFileLayout =
  (step: Engine.Step): Engine.Step =>
  (state, batch) =>
    step(
      state,
      Flat.map(batch, (t) => (t.rank === 4 ? tf.transpose(t, [...Layout.axes.images.toCompute]) : t)),
    )

/**
 * A model of one class repeats its only label's embedding for every image of the batch, but the batch of the exported graph has no
 * fixed size. Adding a zero that is computed from each z, relu(-z²), repeats the embedding for any batch.
 */
const withLabels =
  ({ config, labels }: Gan.Gan, step: Engine.Step): Engine.Step =>
  (state, batch) => {
    const plain = Gan.plain(config)
    if (labels > 1 || Gan.isUnlabelled(plain) || plain.architecture === "gpgan-small-head") return step(state, batch)
    const zeros = tf.relu(tf.neg(tf.square(tf.slice(batch.z!, [0, 0], [-1, 1]))))
    return step(state, Flat.merge(batch, { y: tf.add(zeros, state["embedding.weight"]!) }))
  }

const largestDifference = (a: NdArray.NdArray<"float32">, b: ArrayLike<number>): number =>
  a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), a.data.length === b.length ? 0 : Infinity)

const opened = ({
  model,
  raw = false,
  from,
  onNote,
}: Pick<Options, "model" | "raw" | "from" | "onNote">): Promise<Model.Model> =>
  Failure.orThrow(Model.open(model, { raw, onNote, ...(from !== undefined && { checkpoint: from }) }))

export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const { onnx: out, seed } = options
    const model = await opened(options)
    if (model.modulation?.generator?.batchwise === true)
      Failure.raise(
        "NotExportable",
        "an image of this modulation (a control of the experiments) depends on the rest of its batch, so there is no generator to export",
        {
          file: options.model,
        },
      )
    const { gan, generator } = folded(model)
    const drawn = Sampler.inputs(gan, seed, [...Array(IMAGES).keys()])
    const inputs = Flat.map(drawn, (array) =>
      array.dtype === "float32" ? Layout.imagesToFile(array as NdArray.NdArray<"float32">) : array,
    )
    const bytes = Engine.OnnxExport.model(
      inFileLayout(withLabels(gan, Sampler.step(gan, model.description.batchNorm))),
      Flat.map(generator, Layout.toCompute),
      Flat.map(inputs, ({ shape, dtype }) => ({ shape: shape.slice(1), dtype })),
      {
        architecture: gan.config.architecture,
        latent: gan.latent.distribution,
        ...(model.description.source && { source_sha256: model.description.source.sha256 }),
      },
    )
    const session = await Session.create(bytes)
    const { image } = await session.run(Flat.map(inputs, (array) => array)).finally(session.release)
    const sampler = await Sampler.open(model, engine, IMAGES)
    const expected = await sampler.images(drawn).finally(sampler.dispose)
    const maxAbsDiff = largestDifference(expected, image!.data as Float32Array)
    if (!(maxAbsDiff <= TOLERANCE))
      Failure.raise(
        "BadExport",
        `the exported generator differs from the model by ${maxAbsDiff}, more than ${TOLERANCE}; nothing was written`,
        { file: out },
      )
    await Failure.orThrow(Files.write(out, bytes))
    return {
      out,
      bytes: bytes.length,
      opset: OPSET,
      maxAbsDiff,
      inputs: Flat.map(inputs, ({ shape }) => shape.slice(1)),
      ...(model.checkpoint && { checkpoint: model.checkpoint }),
    }
  })

export interface CheckpointOptions extends Model.Notes {
  /** A model folder or a run. */
  readonly model: string
  /** `.pt`, `.pth`, `.ckpt` or `.safetensors` */
  readonly checkpoint: string
  readonly net?: "generator" | "discriminator"
  readonly raw?: boolean
  /** Which checkpoint of a run; the last by default. */
  readonly from?: RunCheckpoint.Wanted
}

/** Writes PyTorch's names and layouts, for `torch.load(weights_only=True)` and `safetensors.torch.load_file`. */
export const checkpoint = (options: CheckpointOptions): TE.TaskEither<Failure.Failure, TorchExport.Exported & Read> =>
  Failure.attempt(async () => {
    const { checkpoint: out, net } = options
    const model = await opened(options)
    if (net === "discriminator")
      ModelFolder.requireDiscriminator(model, "--net discriminator has nothing to export", options.model)
    if (Object.values(model.modulation ?? {}).some(({ folds }) => !folds))
      Failure.raise("NotExportable", "an input-conditioned modulation cannot be folded into filters: use --onnx", {
        file: options.model,
      })
    const written = await Failure.orThrow(
      TorchExport.write(model.description.config, folded(model), { out, ...(net !== undefined && { network: net }) }),
    )
    return { ...written, ...(model.checkpoint && { checkpoint: model.checkpoint }) }
  })
