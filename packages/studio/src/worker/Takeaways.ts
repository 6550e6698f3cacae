/** Files to take home: the generator for other programs, the run for the command line, pictures. */

import { ZipWriter } from "@adafm/checkpoint"
import { Bytes, Disk, Failure, Path } from "@adafm/core"
import { Image } from "@adafm/data"
import * as Model from "@adafm/job/run/Model"
import * as Sampler from "@adafm/job/run/Sampler"
import * as LatentWalk from "@adafm/job/run/sheet/LatentWalk"
import * as Export from "@adafm/job/verbs/Export"
import { applyPalette, GIFEncoder, quantize } from "gifenc"
import type { File_, Takeaway } from "../protocol/Protocol.ts"
import * as EngineChoice from "./EngineChoice.ts"
import * as Runs from "./Runs.ts"

const OUTBOX = "/outbox"

/** Writes into a temporary file and returns its bytes. */
const through = async (name: string, write: (file: string) => Promise<unknown>): Promise<File_> => {
  const file = Path.join(OUTBOX, crypto.randomUUID(), name)
  try {
    await write(file)
    return { name, bytes: (await Disk.readFile(file)) as Uint8Array<ArrayBuffer> }
  } finally {
    await Disk.rm(OUTBOX, { recursive: true, force: true })
  }
}

/** All files of a folder; each name begins with `prefix`. */
const zipped = async (folder: string, name: string, prefix: string): Promise<File_> => {
  const files = await Disk.readdir(folder, { recursive: true, withFileTypes: true })
  const members = []
  for (const file of files)
    if (file.isFile() && file.name !== "lock") {
      const path = Path.join(file.parentPath, file.name)
      members.push({ name: `${prefix}${Path.relative(folder, path)}`, bytes: await Disk.readFile(path) })
    }
  return { name: `${name}.zip`, bytes: Bytes.concat([...ZipWriter.encode(members)]) }
}

/** The photographs of a folder. */
export const zip = (folder: string): Promise<File_> => zipped(folder, "photographs", "")

const GRID = 64

const grid = async (run: string, name: string): Promise<File_> => {
  const model = await Failure.orThrow(Model.open(run))
  const images = await Failure.orThrow(Sampler.images(model, await EngineChoice.engine(), 0, [...Array(GRID).keys()]))
  const png = await Failure.orThrow(Image.png(Image.sheet(Image.fromNchw(images), { scale: 4 })))
  return { name: `${name}.png`, bytes: new Uint8Array(png) }
}

const STOPS = 6
const FRAMES = 16
/** Milliseconds of a frame. */
const DELAY = 60
/** Pixels of a side, at least. */
const WALK_SIZE = 256

/** A walk through samples and back to the first, as an animated GIF. */
const walk = async (run: string, name: string): Promise<File_> => {
  const model = await Failure.orThrow(Model.open(run))
  const numbers = [...Array(STOPS).keys(), 0]
  const { inputs } = LatentWalk.sheet(model.gan, { seed: 0, numbers }, FRAMES)
  const sampler = await Sampler.open(model, await EngineChoice.engine(), 8)
  const images = await sampler.images(inputs).finally(sampler.dispose)
  const gif = GIFEncoder()
  const size = model.gan.image[0]
  const scale = Math.max(1, Math.round(WALK_SIZE / size))
  for (const image of Image.fromNchw(images)) {
    const large = Image.sheet([image], { scale })
    const [height, width] = large.shape as readonly [number, number, number]
    const rgba = new Uint8Array(width * height * 4).fill(255)
    for (let i = 0, j = 0; i < large.data.length; i += 3, j += 4) rgba.set(large.data.subarray(i, i + 3), j)
    const palette = quantize(rgba, 256)
    gif.writeFrame(applyPalette(rgba, palette), width, height, { palette, delay: DELAY })
  }
  gif.finish()
  return { name: `${name}-walk.gif`, bytes: new Uint8Array(gif.bytes()) }
}

export const make = async (run: string, what: Takeaway): Promise<File_> => {
  const name = (await Runs.jobOf(run)).name.replace(/[^\w.-]+/g, "-") || "run"
  const engine = await EngineChoice.engine()
  switch (what) {
    case "onnx":
      return through(`${name}.onnx`, (onnx) => Failure.orThrow(Export.run({ model: run, onnx, seed: 0 }, engine)))
    case "safetensors":
      return through(`${name}.safetensors`, (checkpoint) =>
        Failure.orThrow(Export.checkpoint({ model: run, checkpoint, net: "generator" })),
      )
    case "run":
      return zipped(run, name, `${name}/`)
    case "grid":
      return grid(run, name)
    case "walk":
      return walk(run, name)
  }
}
