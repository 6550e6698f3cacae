/**
 * The whole of Inception-v3 on photographs, from a `.pth` that PyTorch wrote, compared with PyTorch's own results:
 * `fixtures/inception.py` writes both. The committed network is sixteen times narrower; with `ADAFM_BENCH_TORCH=python3` the test
 * makes and compares the real width too.
 */
import { execFileSync } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Checkpoint } from "@adafm/checkpoint"
import * as TorchWriter from "@adafm/checkpoint/torch/TorchWriter"
import { Failure, Files, Flat, NdArray, Safetensors } from "@adafm/core"
import { ImageSource } from "@adafm/data"
import type { Protocol } from "@adafm/metrics"
import { Close, Shared } from "@adafm/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Features from "../src/verbs/Features.ts"

const FLOWERS = "data/flowers/flowers.zip"
const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
const TORCH = process.env.ADAFM_BENCH_TORCH

type Rows = readonly (readonly number[])[]
type Expected = Readonly<Record<"features" | "logits", Rows>>
interface Golden {
  readonly names: readonly string[]
  readonly fid: Expected
  readonly torchvision: Expected
}
const goldenOf = async (file: string): Promise<Golden> => JSON.parse(await readFile(file, "utf8")) as Golden

/** Images in a batch of the authors' protocol. */
const COPIES = 8

describe.skipIf(Shared.missing(FLOWERS))("photographs through a network that PyTorch saved", () => {
  let root = ""
  let names: readonly string[] = []
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "adafm-inception-"))
    process.env.ADAFM_CACHE = join(root, "cache")
    names = (await goldenOf(fixture("inception-narrow.json"))).names
    const archive = await Failure.orThrow(ImageSource.open(Shared.path(FLOWERS)!))
    for (const [i, name] of names.entries())
      for (let copy = 0; copy < COPIES; copy++) {
        const bytes = await Failure.orThrow(archive.read(name))
        await Failure.orThrow(Files.write(join(root, "photographs", `${i}-${copy}.jpg`), bytes))
      }
    await archive.close()
  })
  afterAll(async () => {
    delete process.env.ADAFM_CACHE
    await rm(root, { recursive: true, force: true })
  })

  /** Largest difference of features and logits, relative to the largest value; every copy is compared. */
  const apart = async (weights: string, mode: Protocol.Mode, expected: Expected) => {
    const out = join(root, "out.safetensors")
    const made = await Failure.orThrow(
      Features.run({ images: join(root, "photographs"), extractor: "inception", weights, mode, out, seed: 0 }),
    )
    expect(made).toMatchObject({ count: 2 * COPIES, extractor: { mode, comparable: true } })
    const { tensors } = await Failure.orThrow(Safetensors.read(out))
    const of = (name: "features" | "logits"): number => {
      const want = expected[name].flatMap((row) => Array.from({ length: COPIES }, () => row)).flat()
      return Close.relative(NdArray.toFloat64(tensors[name]!).data, want)
    }
    return { features: of("features"), logits: of("logits") }
  }

  /** The weights in torchvision's form: 1000 classes, and an auxiliary classifier. */
  const torchvision = async (file: string): Promise<string> => {
    const state = await Failure.orThrow(Checkpoint.readAll(file))
    const cut = ({ dtype, shape, data }: NdArray.NdArray): NdArray.NdArray => {
      const rest = shape.slice(1)
      return NdArray.make(dtype, [1000, ...rest], data.slice(0, 1000 * NdArray.sizeOf(rest)) as Float32Array)
    }
    const changed = Flat.map(state, (tensor, path) => (path.startsWith("fc.") ? cut(tensor) : tensor))
    const out = join(root, "inception_v3.pth")
    await Failure.orThrow(
      Files.write(
        out,
        TorchWriter.encode({ ...changed, "AuxLogits.fc.bias": NdArray.float32([1000], new Float32Array(1000)) }),
      ),
    )
    return out
  }

  const compare = async (stem: string): Promise<void> => {
    const golden = await goldenOf(`${stem}.json`)
    const fid = await apart(`${stem}.pth`, "pytorch-fid", golden.fid)
    const authors = await apart(await torchvision(`${stem}.pth`), "authors", golden.torchvision)
    for (const part of [fid, authors]) expect(Math.max(part.features, part.logits)).toBeLessThan(1e-4)
    console.info(`${stem.split("/").at(-1)}: ${JSON.stringify({ fid, authors })}`)
  }

  test("at a sixteenth of the width, pytorch-fid's and the authors' features and logits agree within 1e-4", () =>
    compare(fixture("inception-narrow")))

  test("a network that does not belong to the mode is refused", async () => {
    const out = join(root, "no.safetensors")
    const weights = fixture("inception-narrow.pth")
    const options = { images: join(root, "photographs"), extractor: "inception", weights, out, seed: 0 } as const
    expect(await Features.run({ ...options, mode: "authors" })()).toMatchObject({ left: { _tag: "WrongWeights" } })
  })

  test.skipIf(TORCH === undefined)("at full width, 2048 features and 1008 logits agree within 1e-4", async () => {
    const stem = join(root, "full")
    execFileSync(TORCH!, [fixture("inception.py"), stem, "1", Shared.path(FLOWERS)!, ...names])
    await compare(stem)
  })
})
