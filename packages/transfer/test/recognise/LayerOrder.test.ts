/** The order of layers, which plain stacks need and some formats do not keep. */
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { TorchWriter } from "@adafm/checkpoint"
import { NdArray, Safetensors } from "@adafm/core"
import { expect, test } from "vitest"
import * as Import from "../../src/import/Import.ts"
import * as LayerOrder from "../../src/recognise/LayerOrder.ts"

const here = mkdtempSync(join(tmpdir(), "adafm-order-"))

/** A perceptron of layers 64 → 64 with these names, in this order; its image is 8 × 8. */
const perceptron = (names: readonly string[]): Record<string, NdArray.NdArray> =>
  Object.fromEntries(names.map((name) => [`${name}.weight`, NdArray.zeros("float32", [64, 64])]))

const layers = async (file: string): Promise<unknown> => {
  const result = await Import.importModel({ files: [file], out: join(here, "model") })()
  if (result._tag === "Left") return result.left._tag
  const { config } = result.right
  return config.architecture === "dcgan" && config.generator.flatMap((l) => ("path" in l ? [l.path] : []))
}

const file = (name: string, chunks: Iterable<Uint8Array>): string => {
  writeFileSync(join(here, name), Buffer.concat([...chunks]))
  return join(here, name)
}

test("numbers in names are compared by value", () => {
  const names = ["main.10.0", "main.2.1", "b", "main.2.0", "main.2", "a9", "a10"]
  expect(LayerOrder.sort(names.map((path) => ({ path }))).map(({ path }) => path)).toEqual([
    "a9",
    "a10",
    "b",
    "main.2",
    "main.2.0",
    "main.2.1",
    "main.10.0",
  ])
})

test("numbered layers are ordered in every format; equal layers named by words only where the file keeps the order", async () => {
  const numbered = ["model.0", "model.2", "model.4", "model.10"]
  expect(await layers(file("n.safetensors", Safetensors.encode(perceptron(numbered))))).toEqual(numbered)
  expect(await layers(file("n.pt", TorchWriter.encode(perceptron(numbered))))).toEqual(numbered)
  const worded = ["one", "two", "three"]
  expect(await layers(file("w.pt", TorchWriter.encode(perceptron(worded))))).toEqual(worded)
  expect(await layers(file("w.safetensors", Safetensors.encode(perceptron(worded))))).toBe("UnknownOrder")
})

test("layers in PyTorch's shards are in the order of the shards, whatever the order of the index", async () => {
  const [first, second] = [perceptron(["one", "two"]), perceptron(["three"])]
  file("a-1.bin", TorchWriter.encode(first))
  file("a-2.bin", TorchWriter.encode(second))
  const map = Object.fromEntries(
    ["one", "three", "two"].map((n) => [`${n}.weight`, n === "three" ? "a-2.bin" : "a-1.bin"]),
  )
  const index = file("index.json", [Buffer.from(JSON.stringify({ metadata: {}, weight_map: map }))])
  expect(await layers(index)).toEqual(["one", "two", "three"])
})
