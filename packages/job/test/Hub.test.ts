import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Leaf } from "@adafm/core"
import { Drawn } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { Engines } from "@adafm/engine"
import { Gan, ModelFolder } from "@adafm/gan"
import * as E from "fp-ts/lib/Either.js"
import { afterAll, beforeAll, expect, test } from "vitest"
import YAML from "yaml"
import * as HubFolder from "../src/hub/HubFolder.ts"
import * as HubModel from "../src/hub/HubModel.ts"
import * as Model from "../src/run/Model.ts"
import * as Publish from "../src/verbs/Publish.ts"
import * as Transfer from "../src/verbs/Transfer.ts"
import * as HubServer from "./hubServer.ts"

let folder = ""
let hub: HubServer.Hub
let engine: Engine.Engine
const at = (name: string): string => join(folder, name)
const before = { ...process.env }

const transfer = (source: string, out: string, steps = 1) =>
  Transfer.run(
    {
      source,
      data: `${Drawn.flowers({ size: 16, count: 8, seed: 0 }).path}`,
      out: at(out),
      surgery: { recipe: "g2d1-adafm", unfreezeAt: 1 },
      steps,
      every: steps,
      batch: 4,
      seed: 1,
      scoreCount: 4,
      extractor: "embedded",
      invocation: {
        command: "adafm transfer --data /home/somebody/photos",
        settings: { data: "/home/somebody/photos" },
      },
    },
    engine,
  )

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-hub-"))
  hub = await HubServer.start()
  process.env.HF_ENDPOINT = hub.url
  process.env.HF_TOKEN = HubServer.TOKEN
  process.env.ADAFM_CACHE = at("cache")
  engine = await Engines.open({ threads: 1 })
  const gan = Gan.of(Gan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, nf_max: 4, z_dim: 4 }))
  const networks = {
    generator: Leaf.initAll(gan.generator, 0, "generator"),
    discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
  }
  await Failure.orThrow(ModelFolder.write(at("source"), ModelFolder.describe(gan), networks))
  await Failure.orThrow(transfer(at("source"), "run", 2))
  await Failure.orThrow(
    HubFolder.run(
      { model: at("run"), out: at("flowers"), seed: 0, licence: "cc-by-4.0", dataStatement: "Drawn by a program." },
      engine,
    ),
  )
})
afterAll(async () => {
  await hub.close()
  for (const name of ["HF_ENDPOINT", "HF_TOKEN", "ADAFM_CACHE"])
    if (before[name] === undefined) delete process.env[name]
    else process.env[name] = before[name]
  await rm(folder, { recursive: true })
})

const failure = async (
  task: () => Promise<E.Either<Failure.Failure, unknown>>,
): Promise<Failure.Failure | undefined> => {
  const outcome = await task()
  return E.isLeft(outcome) ? outcome.left : undefined
}
const publish = (more: Partial<Publish.Options> = {}) =>
  Publish.run({ folder: at("flowers"), to: "hf:me/flowers", ...more })

test("a run becomes a folder with weights, ONNX, configuration and a card that says licence, data and scores", async () => {
  expect((await readdir(at("flowers"))).sort()).toEqual(
    "README.md config.json discriminator.safetensors generator.onnx generator.safetensors model.json samples.png".split(
      " ",
    ),
  )
  const card = await readFile(join(at("flowers"), "README.md"), "utf8")
  const [, front = "", text = ""] = card.split(/^---$/m)
  expect(YAML.parse(front)).toMatchObject({
    license: "cc-by-4.0",
    library_name: "adafm",
    pipeline_tag: "unconditional-image-generation",
    "model-index": [{ results: [{ metrics: [{ type: "fid", value: expect.any(Number) }, { type: "kid" }] }] }],
  })
  for (const part of ["![64 samples](samples.png)", "Drawn by a program.", "g2d1-adafm", "weights SHA-256", "8 images"])
    expect(text).toContain(part)
  // nothing of the author's disk
  for (const file of ["README.md", "config.json", "model.json"])
    expect(await readFile(join(at("flowers"), file), "utf8"), file).not.toMatch(/somebody|adafm-hub-/)
})

test("it is pushed, and others fetch the same generator by commit and hash", async () => {
  const first = await Failure.orThrow(publish())
  expect(first).toMatchObject({ created: true, reference: `hf:me/flowers@${hub.commits[0]!.oid}` })
  const card = hub.commits[0]!.files.get("README.md")!.bytes.toString()
  expect(card).toContain("adafm sample hf:me/flowers")
  const [fetched, own] = [
    await Failure.orThrow(Model.open("hf:me/flowers")),
    await Failure.orThrow(Model.open(at("flowers"))),
  ]
  expect(fetched.path).toBe(first.reference)
  expect(Model.fingerprint(fetched)).toBe(Model.fingerprint(own))
  // the second time nothing is requested
  const count = hub.requests.length
  await Failure.orThrow(Model.open(first.reference))
  expect(hub.requests.length).toBe(count)
  expect(await Failure.orThrow(publish())).toMatchObject({ created: false })
})

test("a run that began from the Hub keeps its commit, also when the repository moves on", async () => {
  await Failure.orThrow(transfer("hf:me/flowers", "from hub"))
  const { source } = JSON.parse(await readFile(join(at("from hub"), "config.json"), "utf8")) as {
    source: { path: string }
  }
  expect(source.path).toBe(`hf:me/flowers@${hub.commits.at(-1)!.oid}`)
  await Failure.orThrow(publish({ message: "Again" }))
  expect(await Failure.orThrow(transfer("hf:me/flowers", "from hub", 2))).toMatchObject({ steps: 2 })
})

test("changed files are refused, on the way and in the cache, and nothing is kept of them", async () => {
  await Failure.orThrow(publish())
  const { oid, files } = hub.commits.at(-1)!
  const stored = files.get("generator.safetensors")!
  const good = stored.bytes
  const bad = Buffer.from(good)
  bad[bad.length - 1]! ^= 1
  // the listing has the hash of the good file
  hub.beforeFile = () => {
    stored.bytes = bad
  }
  expect(await failure(Model.open(`hf:me/flowers@${oid}`))).toMatchObject({
    _tag: "WrongHash",
    path: "generator.safetensors",
  })
  hub.beforeFile = () => {}
  stored.bytes = good
  const { folder: cached } = await HubModel.fetch(`hf:me/flowers@${oid}`)
  const tensors = join(cached, "generator.safetensors")
  const bytes = await readFile(tensors)
  bytes[bytes.length - 1]! ^= 1
  await writeFile(tensors, bytes)
  expect(await failure(Model.open(`hf:me/flowers@${oid}`))).toMatchObject({ _tag: "WrongHash", file: tensors })
})

test.each([
  { path: "hf:flowers", _tag: "BadArguments" },
  { path: "hf:me/../etc", _tag: "BadArguments" },
  { path: "hf:me/flowers@../main", _tag: "BadArguments" },
  { path: "hf:me/nothing", _tag: "HubRefused" },
  { path: `hf:me/flowers@${"0".repeat(40)}`, _tag: "HubRefused" },
])("$path is refused: $_tag", async ({ path, _tag }) => {
  expect(await failure(Model.open(path))).toMatchObject({ _tag, file: path })
})

test("nothing is pushed without a token, without a licence, or from another folder", async () => {
  const count = hub.commits.length
  expect(await failure(publish({ folder: at("run") }))).toMatchObject({ _tag: "NoModel" })
  await Failure.orThrow(HubFolder.run({ model: at("run"), out: at("unstated"), seed: 0 }, engine))
  expect(await failure(publish({ folder: at("unstated") }))).toMatchObject({ _tag: "NoLicence" })
  process.env.HF_TOKEN = "hf_wrong"
  expect(await failure(publish())).toMatchObject({ _tag: "HubRefused", message: expect.stringContaining("HF_TOKEN") })
  delete process.env.HF_TOKEN
  expect(await failure(publish())).toMatchObject({ _tag: "NoToken" })
  process.env.HF_TOKEN = HubServer.TOKEN
  expect(hub.commits.length).toBe(count)
})

test("a small file is checked by git's hash of a blob", async () => {
  await Failure.orThrow(publish())
  const { oid, files } = hub.commits.at(-1)!
  const { folder: cached } = await HubModel.fetch(`hf:me/flowers@${oid}`)
  expect(await readFile(join(cached, "model.json"))).toEqual(files.get("model.json")!.bytes)
})
