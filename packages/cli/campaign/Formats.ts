/** A small whole file of every format that is read, and what reads it. */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { cp, mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { TorchWriter, ZipWriter } from "@adafm/checkpoint"
import { Failure, Leaf, NdArray, Safetensors } from "@adafm/core"
import { Drawn, ImageSet } from "@adafm/data"
import { Gan, ModelFolder } from "@adafm/gan"
import { Model, Report } from "@adafm/job"
import { FeatureFile, StatisticsNpz } from "@adafm/metrics"
import { Inspect, Plan } from "@adafm/transfer"
import sharp from "sharp"
import * as Program from "../src/Program.ts"

/** What a reader gives back, for a comparison with that of the whole file. */
export type Reader = (path: string) => Promise<unknown>

export interface Format {
  /** Damage that changes what is read is noticed: the format has checksums, and they are compared. */
  readonly hasChecksum: boolean
  /** Writes the whole file; returns the file to damage and, where it is not that, the path to read. */
  readonly write: (folder: string) => Promise<{ readonly file: string; readonly path?: string }>
  readonly read: Reader
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

const one = (name: string, make: () => Promise<Uint8Array> | Uint8Array) => async (folder: string) => {
  const file = join(folder, name)
  await writeFile(file, await make())
  return { file }
}

const joined = (chunks: Iterable<Uint8Array>): Uint8Array => Buffer.concat([...chunks])

const picture = (format: "png" | "jpeg" | "webp" | "gif" | "tiff") => (): Promise<Buffer> =>
  sharp(Buffer.from(arrays["main.0.weight"].data.buffer), { raw: { width: 8, height: 8, channels: 3 } })
    .toFormat(format)
    .toBuffer()

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

export const all: Readonly<Record<string, Format>> = {
  safetensors: {
    hasChecksum: false,
    write: one("x.safetensors", () => joined(Safetensors.encode(arrays))),
    read: inspected,
  },
  "torch zip": {
    hasChecksum: true,
    write: one("x.pt", () => joined(TorchWriter.encode({ state_dict: arrays }))),
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
  "metric.jsonl of a run": { hasChecksum: false, write: partOfRun("metric.jsonl"), read: reported },
  "stats.jsonl of a run": { hasChecksum: false, write: partOfRun("stats.jsonl"), read: reported },
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
    hasChecksum: false,
    write: one("images.safetensors", () =>
      joined(
        Safetensors.encode({
          images: NdArray.make("uint8", [2, 3, 2, 2], new Uint8Array(24).fill(9)),
          labels: NdArray.make("int32", [2], Int32Array.of(0, 1)),
        }),
      ),
    ),
    read: decoded,
  },
  ...Object.fromEntries(
    (["png", "jpeg", "webp", "gif", "tiff"] as const).map((format): [string, Format] => [
      format,
      { hasChecksum: false, write: one(`x.${format}`, picture(format)), read: decoded },
    ]),
  ),
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
