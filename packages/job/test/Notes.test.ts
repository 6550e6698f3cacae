/** What users are told of files that are read nevertheless, and while they wait. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Leaf } from "@adafm/core"
import { Drawn } from "@adafm/data"
import { type Engine, Engines } from "@adafm/engine"
import { Gan, ModelFolder } from "@adafm/gan"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import * as HubFolder from "../src/hub/HubFolder.ts"
import * as Export from "../src/verbs/Export.ts"
import * as Pretrain from "../src/verbs/Pretrain.ts"
import * as Report from "../src/verbs/Report.ts"
import * as Transfer from "../src/verbs/Transfer.ts"
import * as TransferPlan from "../src/verbs/TransferPlan.ts"

let root = ""
let engine: Engine
const at = (...path: readonly string[]): string => join(root, ...path)
const gan = Gan.of(Gan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, nf_max: 4, z_dim: 4 }))
const data = Drawn.flowers({ count: 6, size: 16 }).path

/** Writes the file again as versions without digests wrote it. */
const withoutDigests = async (file: string): Promise<void> => {
  const bytes = await readFile(file)
  const end = 8 + Number(bytes.readBigUInt64LE(0))
  const { __metadata__: metadata = {}, ...tensors } = JSON.parse(bytes.toString("utf8", 8, end))
  const { "adafm:tensors": _, "adafm:header": __, ...rest } = metadata
  const header = Buffer.from(JSON.stringify({ __metadata__: rest, ...tensors }))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  await writeFile(file, Buffer.concat([length, header, bytes.subarray(end)]))
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "adafm-notes-"))
  engine = await Engines.open({ threads: 1 })
  await Failure.orThrow(
    ModelFolder.write(at("old"), ModelFolder.describe(gan), {
      generator: Leaf.initAll(gan.generator, 0, "generator"),
      discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
    }),
  )
  await withoutDigests(at("old", "generator.safetensors"))
})
afterAll(() => rm(root, { recursive: true }))

test("a training tells of a cache that cannot be written, and of each pass over the images", async () => {
  await writeFile(at("file"), "")
  vi.stubEnv("ADAFM_CACHE", at("file", "cache"))
  const [notes, passes] = [[] as string[], [] as string[]]
  const options = { data, out: at("run"), config: gan.config, seed: 0, batch: 2, steps: 1, every: 1, scoreCount: 4 }
  await Failure.orThrow(
    Pretrain.run(
      {
        ...options,
        extractor: "embedded",
        onNote: (line) => notes.push(line),
        onImages: (done, total) => passes.push(`${done}/${total}`),
      },
      engine,
    ),
  )
  vi.unstubAllEnvs()
  expect(notes.filter((line) => line.includes("ADAFM_CACHE"))).toHaveLength(1)
  const six = Array.from({ length: 6 }, (_, i) => `${i + 1}/6`)
  // decoded, hashed for the run's record, and the four of the scores
  expect(passes.slice(0, 12)).toEqual([...six, ...six])
  expect(passes.at(-1)).toBe("4/4")
})

test.each<readonly [string, (onNote: (line: string) => void) => Promise<unknown>]>([
  [
    "transfer",
    (onNote) =>
      Failure.orThrow(
        Transfer.run(
          { source: at("old"), data, out: at("new"), seed: 0, batch: 2, steps: 1, scoreCount: 0, onNote },
          engine,
        ),
      ),
  ],
  [
    "transfer --dry-run",
    (onNote) => Failure.orThrow(TransferPlan.plan({ source: at("old"), seed: 0, onNote }, engine)),
  ],
  [
    "export --checkpoint",
    (onNote) => Failure.orThrow(Export.checkpoint({ model: at("old"), checkpoint: at("x.pt"), onNote })),
  ],
  [
    "export --hub",
    (onNote) => Failure.orThrow(HubFolder.run({ model: at("old"), out: at("hub"), seed: 0, onNote }, engine)),
  ],
])("%s tells once of a file without checksums", async (_, body) => {
  const notes: string[] = []
  await body((line) => notes.push(line))
  expect(notes.filter((line) => line === ModelFolder.unchecked(at("old", "generator.safetensors")))).toHaveLength(1)
})

test("a page tells once of a checkpoint without checksums", async () => {
  await mkdir(at("pages"))
  await withoutDigests(at("run", "checkpoints", "00000001.safetensors"))
  const notes: string[] = []
  await Failure.orThrow(
    Report.run({ folders: [at("run")], out: at("pages", "x.html"), onNote: (line) => notes.push(line) }),
  )
  expect(notes).toEqual([ModelFolder.unchecked(at("run", "checkpoints", "00000001.safetensors"))])
})
