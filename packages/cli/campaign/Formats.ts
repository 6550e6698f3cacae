/** A small whole file of every format that is read, and what reads it. */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { TorchWriter, ZipWriter } from "@adafm/checkpoint"
import { Failure, Leaf, NdArray, Safetensors } from "@adafm/core"
import { Drawn, ImageSet } from "@adafm/data"
import { Gan, ModelFolder } from "@adafm/gan"
import { Features, Model, Report } from "@adafm/job"
import { FeatureFile, StatisticsNpz } from "@adafm/metrics"
import { Import, Inspect, Plan } from "@adafm/transfer"
import * as LayersFile from "@adafm/transfer/stacks/LayersFile"
import sharp from "sharp"
import * as Program from "../src/Program.ts"
import * as Pickle from "./Pickle.ts"

/** What a reader gives back, for a comparison with that of the whole file. */
export type Reader = (path: string) => Promise<unknown>

export interface Format {
  /** Damage that changes what is read is noticed: the format has checksums, and they are compared. */
  readonly hasChecksum: boolean
  /** Writes the whole file; returns the file to damage and, where it is not that, the path to read. */
  readonly write: (folder: string) => Promise<{ readonly file: string; readonly path?: string }>
  readonly read: Reader
  /** Reading takes seconds, not milliseconds. */
  readonly isSlow?: true
}

const arrays = {
  "main.0.weight": NdArray.float32(
    [4, 3, 2, 2],
    Float32Array.from({ length: 48 }, (_, i) => Math.sin(i)),
  ),
  "main.0.bias": NdArray.float32([4], [1, -2, 3, 4]),
}

const inspected: Reader = async (path) => {
  const { tensors, scalars } = await Failure.orThrow(Inspect.inspect(path))
  return { tensors, scalars }
}

/** Reads the tensors, recognises the network, copies it, and where the file has a graph runs that. */
const imported: Reader = async (path) => {
  const out = `${path}.imported`
  await rm(out, { recursive: true, force: true })
  const { out: _, source: __, ...found } = await Failure.orThrow(Import.importModel({ generator: path, out }))
  return { found, tensors: await readFile(join(out, "generator.safetensors")) }
}

/** A file of the tests, which another program wrote. */
const fixture = (name: string) => async (folder: string) => {
  const file = join(folder, basename(name))
  await cp(join(import.meta.dirname, "../../transfer/test/fixtures", name), file)
  return { file }
}

const one = (name: string, make: () => Promise<Uint8Array> | Uint8Array) => async (folder: string) => {
  const file = join(folder, name)
  await writeFile(file, await make())
  return { file }
}

const joined = (chunks: Iterable<Uint8Array>): Uint8Array => Buffer.concat([...chunks])

const picture = (format: "png" | "jpeg" | "webp" | "gif" | "tiff" | "avif") => (): Promise<Buffer> =>
  sharp(Buffer.from(arrays["main.0.weight"].data.buffer), { raw: { width: 8, height: 8, channels: 3 } })
    .toFormat(format)
    .toBuffer()

const pictures = (): Uint8Array =>
  joined(
    Safetensors.encode({
      images: NdArray.make("uint8", [2, 3, 2, 2], new Uint8Array(24).fill(9)),
      labels: NdArray.make("int32", [2], Int32Array.of(0, 1)),
    }),
  )

const decoded: Reader = async (path) => {
  const set = await Failure.orThrow(ImageSet.open(path))
  try {
    const images: unknown[] = []
    for (const i of set.names.keys()) images.push([set.names[i], set.labels[i], await Failure.orThrow(set.decode(i))])
    return images
  } finally {
    await set.close()
  }
}

const tiny = Gan.of(Gan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 1, nf_max: 2, z_dim: 2 }))

const model = async (folder: string): Promise<string> => {
  const networks = {
    generator: Leaf.initAll(tiny.generator, 0, "generator"),
    discriminator: Leaf.initAll(tiny.discriminator, 0, "discriminator"),
  }
  await Failure.orThrow(ModelFolder.write(join(folder, "model"), ModelFolder.describe(tiny), networks))
  return join(folder, "model")
}

const opened: Reader = async (path) => {
  const { generator, discriminator, description } = await Failure.orThrow(Model.open(path))
  return { generator, discriminator, description }
}

const partOfModel = (name: string) => async (folder: string) => {
  const path = await model(folder)
  return { file: join(path, name), path }
}

const RUN =
  "pretrain --arch gpgan --size 16 --nf 1 --nf-max 2 --z-dim 2 --batch 2 --steps 2 --score-count 4 --extractor embedded --threads 1"

const trained = async (out: string): Promise<void> => {
  const data = Drawn.flowers({ count: 4, size: 16 }).path
  let said = ""
  const streams = {
    out: async () => {},
    err: (text: string) => {
      said += text
    },
  }
  const code = await Program.run([...RUN.split(" "), "--data", data, "--out", out], streams)
  if (code !== 0) throw new Error(`the run to damage failed: ${said}`)
}

/** A run of two steps, trained once for all its files. */
const run = async (folder: string): Promise<string> => {
  const out = join(folder, "..", "..", "run")
  if (!existsSync(join(out, "checkpoints", "00000002.safetensors"))) await trained(out)
  await cp(out, join(folder, "run"), { recursive: true })
  return join(folder, "run")
}

const partOfRun =
  (...name: readonly string[]) =>
  async (folder: string) => {
    const path = await run(folder)
    return { file: join(path, ...name), path }
  }

const reported: Reader = async (path) => {
  const out = `${path}.html`
  await Failure.orThrow(Report.run({ folders: [path], out }))
  return (await readFile(out, "utf8")).length > 0
}

/** A model of TensorFlow.js with all of its kinds of quantised weights. */
const tensorFlow = (damaged: string) => async (folder: string) => {
  const weights = [
    { name: "generator/fc/kernel", shape: [2, 3], dtype: "float32" },
    { name: "a", shape: [4], dtype: "float32", quantization: { dtype: "uint8", scale: 0.5, min: -1 } },
    { name: "b", shape: [2], dtype: "float32", quantization: { dtype: "uint16", scale: 2, min: 0 } },
    { name: "c", shape: [2], dtype: "float32", quantization: { dtype: "float16" } },
    { name: "d", shape: [1], dtype: "int32" },
  ]
  const model = { format: "layers-model", weightsManifest: [{ paths: ["1.bin", "2.bin"], weights }] }
  await writeFile(join(folder, "model.json"), JSON.stringify(model))
  await writeFile(join(folder, "1.bin"), Buffer.alloc(26, 7))
  await writeFile(join(folder, "2.bin"), Buffer.alloc(14, 3))
  return { file: join(folder, damaged), path: join(folder, "model.json") }
}

const moments = {
  mean: Float64Array.of(1, 2),
  covariance: { rows: 2, cols: 2, data: Float64Array.of(2, 0, 0, 3) },
}

const PLAN = `generator:
  - { paths: "{a,b}_*.conv_[01].weight", value: keep, fate: modulate, unfreezeAt: 10 }
  - { paths: "*", lr: 0.5 }
discriminator: [{ paths: "*" }]
modulation: { kind: adafm }
`

const LAYERS = `image: [3, 4, 4]
latent: normal
generator:
  - { kind: linear, path: "0" }
  - { kind: view, shape: [8, 2, 2] }
  - { kind: relu }
  - { kind: convTranspose, path: "3", stride: 2, padding: 1 }
  - { kind: tanh }
`

const SETTINGS = `data: photos
out: runs/mine
steps: 300
batch: 8
lr: 0.0002
augment: [color, translation]
recipe: g2d1-adafm
`

export const all: Readonly<Record<string, Format>> = {
  safetensors: {
    hasChecksum: true,
    write: one("x.safetensors", () => joined(Safetensors.encode(arrays))),
    read: inspected,
  },
  "torch zip": {
    hasChecksum: true,
    write: one("x.pt", () => joined(TorchWriter.encode({ state_dict: arrays }))),
    read: inspected,
  },
  "torch before 1.6": {
    hasChecksum: false,
    write: one("x.pth", () => Pickle.legacy(arrays)),
    read: inspected,
  },
  "torch network, imported": { hasChecksum: true, write: fixture("stacks/generator.pt"), read: imported },
  "ONNX, inspected": { hasChecksum: false, write: fixture("graphs/attention-d.onnx"), read: inspected },
  "ONNX, imported": { hasChecksum: false, write: fixture("graphs/pixelnorm-g.onnx"), read: imported },
  "Keras, .h5": { hasChecksum: false, write: fixture("graphs/tf-tutorial-d.h5"), read: inspected },
  "Keras, .keras": { hasChecksum: true, write: fixture("graphs/nested-g.keras"), read: inspected },
  "TensorFlow.js, model.json": { hasChecksum: false, write: tensorFlow("model.json"), read: inspected },
  "TensorFlow.js, weights": { hasChecksum: false, write: tensorFlow("1.bin"), read: inspected },
  "index of shards": {
    hasChecksum: false,
    write: async (folder) => {
      const file = join(folder, "x.safetensors.index.json")
      await writeFile(join(folder, "1.safetensors"), joined(Safetensors.encode(arrays)))
      const map = Object.fromEntries(Object.keys(arrays).map((path) => [path, "1.safetensors"]))
      await writeFile(file, JSON.stringify({ metadata: {}, weight_map: map }))
      return { file }
    },
    read: inspected,
  },
  npz: {
    hasChecksum: true,
    write: async (folder) => {
      const file = join(folder, "x.npz")
      await Failure.orThrow(StatisticsNpz.write(file, moments))
      return { file }
    },
    read: async (file) => {
      const { path: _, ...moments } = await Failure.orThrow(FeatureFile.readMoments(file))
      return moments
    },
  },
  "features of images": {
    hasChecksum: true,
    write: async (folder) => {
      const [data, file] = [join(folder, "images.safetensors"), join(folder, "features.safetensors")]
      await writeFile(data, pictures())
      await Failure.orThrow(Features.run({ images: data, extractor: "embedded", out: file, seed: 0 }))
      return { file }
    },
    read: async (file) => Failure.orThrow(FeatureFile.readFeatures(file)),
  },
  "model.json": { hasChecksum: false, write: partOfModel("model.json"), read: opened },
  "generator.safetensors of a model": {
    hasChecksum: true,
    write: partOfModel("generator.safetensors"),
    read: opened,
  },
  "config.json of a run": { hasChecksum: false, write: partOfRun("config.json"), read: opened },
  "checkpoint of a run": {
    hasChecksum: true,
    write: partOfRun("checkpoints", "00000002.safetensors"),
    read: opened,
  },
  "best.safetensors of a run": {
    hasChecksum: true,
    write: partOfRun("best.safetensors"),
    read: async (path) => {
      const { generator, discriminator } = await Failure.orThrow(Model.open(path, { checkpoint: "best" }))
      return { generator, discriminator }
    },
  },
  "metric.jsonl of a run": { hasChecksum: false, write: partOfRun("metric.jsonl"), read: reported, isSlow: true },
  "stats.jsonl of a run": { hasChecksum: false, write: partOfRun("stats.jsonl"), read: reported, isSlow: true },
  "zip of pictures": {
    hasChecksum: true,
    write: one("x.zip", async () => {
      const png = await picture("png")()
      return joined(
        ZipWriter.encode([
          { name: "a/1.png", bytes: png },
          { name: "b/2.png", bytes: png },
          { name: "dataset.json", bytes: Buffer.from('{"labels": [["a/1.png", 0], ["b/2.png", 1]]}') },
        ]),
      )
    }),
    read: decoded,
  },
  "tensors of pictures": {
    hasChecksum: true,
    write: one("images.safetensors", pictures),
    read: decoded,
  },
  ...Object.fromEntries(
    (["png", "jpeg", "webp", "gif", "tiff", "avif"] as const).map((format): [string, Format] => [
      format,
      { hasChecksum: false, write: one(`x.${format}`, picture(format)), read: decoded },
    ]),
  ),
  "dataset.json of a folder": {
    hasChecksum: false,
    write: async (folder) => {
      const png = await picture("png")()
      for (const name of ["a.png", "b.png"]) await writeFile(join(folder, name), png)
      await writeFile(join(folder, "dataset.json"), '{"labels": [["a.png", 3], ["b.png", 1]]}')
      return { file: join(folder, "dataset.json"), path: folder }
    },
    read: decoded,
  },
  "layers in YAML": {
    hasChecksum: false,
    write: one("layers.yaml", () => Buffer.from(LAYERS)),
    read: async (path) => Failure.orThrow(LayersFile.read(path)),
  },
  "settings in YAML": {
    hasChecksum: false,
    write: one("job.yaml", () => Buffer.from(SETTINGS)),
    read: async (path) => {
      let text = ""
      const streams = {
        out: async (said: string) => {
          text += said
        },
        err: () => {},
      }
      const flags = ["--config", path, "--source", `${path}.absent`, "--dry-run", "--json"]
      const code = await Program.run(["transfer", ...flags], streams)
      const { error } = JSON.parse(text) as { readonly error?: Failure.Failure }
      // a source that does not exist is refused once the settings are read
      if (code === 0 || error === undefined) throw new Error(`the command ended with ${code}: ${text}`)
      if (error._tag === "NoModel") return "read"
      if (error._tag === "BadArguments") throw new Failure.Raised({ ...error, file: path })
      throw new Failure.Raised(error)
    },
  },
  "plan in YAML": {
    hasChecksum: false,
    write: one("plan.yaml", () => Buffer.from(PLAN)),
    read: async (path) => Failure.orThrow(Plan.read(path)),
  },
}

/** SHA-256 of a value, arrays by their bytes. */
export const digest = (value: unknown): string =>
  createHash("sha256")
    .update(
      JSON.stringify(value, (_, v) => {
        if (typeof v === "bigint") return `${v}n`
        return ArrayBuffer.isView(v) ? Buffer.from(v.buffer, v.byteOffset, v.byteLength).toString("base64") : v
      }) ?? "undefined",
    )
    .digest("hex")

/** The whole file of a format in a fresh folder. */
export const prepare = async (
  name: string,
  folder: string,
): Promise<{ readonly file: string; readonly path: string }> => {
  await mkdir(folder, { recursive: true })
  const { file, path = file } = await all[name]!.write(folder)
  return { file, path }
}
