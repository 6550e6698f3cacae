/** Graphs of ONNX, Keras and TensorFlow.js, read as stacks and compared with what PyTorch, Keras and TensorFlow.js make of them. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Checkpoint } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"
import { Stack } from "@adafm/gan"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, expect, test } from "vitest"
import * as Compile from "../../src/graph/Compile.ts"
import * as GraphNetwork from "../../src/stacks/GraphNetwork.ts"
import * as StackReading from "../../src/stacks/StackReading.ts"
import * as Fixtures from "./Fixtures.ts"

/** docs/precision.md */
const TOLERANCE = 1e-5

/** Files, and folders of TensorFlow.js. */
const names = readdirSync(join(Fixtures.folder, "graphs"), { withFileTypes: true })
  .map((entry) => (entry.isDirectory() ? `${entry.name}/model.json` : entry.name))
  .filter((name) => /\.(onnx|h5|keras)$|\/model\.json$/.test(name))
  .sort()

/** Fixtures that no stack carries, with the node that is to blame. */
const refused: Readonly<Record<string, string>> = {
  "attention-d.onnx": "/1/Softmax",
  "graphmodel-depthwise-g/model.json": "StatefulPartitionedCall/model/depthwise_conv2d/depthwise",
}

const referenceOf = (name: string): string =>
  name.endsWith(".onnx") ? "PyTorch" : name.endsWith(".json") ? "TensorFlow.js" : "Keras"

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend("cpu")
})

interface Row {
  readonly network: string
  readonly layers: string
  readonly verified: string
}
const rows = new Map<string, Row>()

test.each(names)("%s", async (name) => {
  const file = join(Fixtures.folder, "graphs", name)
  const wanted = await Fixtures.expected(`graphs/${name.replace(/(\/model)?\.\w+$/, "")}`)
  const read = await Checkpoint.use(file, (checkpoint) => {
    const reading = GraphNetwork.read(checkpoint)
    return { reading, made: Fixtures.outputs(reading, wanted) }
  })()
  if (read._tag === "Left") {
    expect(read.left).toMatchObject({ _tag: "UnsupportedGraph", path: refused[name], file })
    rows.set(name, { network: "", layers: "", verified: `refused: ${read.left.message}` })
    return
  }
  expect(refused).not.toHaveProperty([name])
  const { reading, made } = read.right
  expect(Fixtures.distance(made, (wanted.image ?? wanted.logit)!)).toBeLessThan(TOLERANCE)
  expect(StackReading.roleOf(reading)).toBe(wanted.image === undefined ? "discriminator" : "generator")
  const kinds = new Set([...Stack.walk(reading.layers)].map(({ kind }) => kind))
  const merges = reading.layers.flatMap((l) => ("branches" in l || "layers" in l ? [l.kind] : []))
  rows.set(name, {
    network: `${reading.input.join(" × ")} → ${reading.output.join(" × ")}`,
    layers: [...new Set([...kinds, ...merges])].sort().join(", "),
    verified: `within ${TOLERANCE} of ${referenceOf(name)}`,
  })
})

const BEGIN = "<!-- graphs: written by GraphNetwork.test.ts -->"
const END = "<!-- end of graphs -->"

test("docs/checkpoints.md has the table of these files", () => {
  expect(rows.size).toBe(names.length)
  const page = join(import.meta.dirname, "../../../../docs/checkpoints.md")
  const lines = names.map((name) => {
    const { network, layers, verified } = rows.get(name)!
    return `| \`${name}\` | ${network} | ${layers} | ${verified} |`
  })
  const table = [
    BEGIN,
    "| file | network | read as | verified, or refused with |",
    "|---|---|---|---|",
    ...lines,
    "",
    `Operators that are read: ${Compile.operators.join(", ")}.`,
    END,
  ].join("\n")
  const text = readFileSync(page, "utf8")
  const begin = text.indexOf(BEGIN)
  if (process.env.UPDATE_DOCS !== undefined && begin >= 0)
    writeFileSync(page, text.slice(0, begin) + table + text.slice(text.indexOf(END) + END.length))
  expect(readFileSync(page, "utf8")).toContain(table)
})

const shared = join(import.meta.dirname, "../../../../../shared/data/checkpoints")
const published = [
  ["omori-32/aim25-epoch13999.onnx", "omori-32/aim25-epoch13999", "image"],
  ["anime-dcgan-64/generator.h5", "anime-dcgan-64/", "image_sigmoid"],
] as const

test.skipIf(!existsSync(shared)).each(published)("the published %s makes its own pictures", async (path, name, key) => {
  const { Safetensors } = await import("@adafm/core")
  const at = name.endsWith("/") ? `${name}expected.safetensors` : `${name}.expected.safetensors`
  const { tensors } = await Failure.orThrow(Safetensors.read(join(shared, at)))
  const made = await Failure.orThrow(
    Checkpoint.use(join(shared, path), (checkpoint) => Fixtures.outputs(GraphNetwork.read(checkpoint), tensors)),
  )
  expect(Fixtures.distance(made, tensors[key]!)).toBeLessThan(1e-4)
})
