/**
 * PyTorch reads our `.pt`. `torch.load(weights_only=True)` has its own unpickler, which knows only some opcodes and names; the files
 * use no others. Where PyTorch is installed, it reads one.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ByteSource, TorchWriter } from "@adafm/checkpoint"
import * as ZipReader from "@adafm/checkpoint/zip/ZipReader"
import { Leaf, NdArray } from "@adafm/core"
import { Gan } from "@adafm/gan"
import { expect, test } from "vitest"

const gan = Gan.of(Gan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, z_dim: 3, nlabels: 3, embed: 2 }))
const tree: TorchWriter.Tree = {
  generator: Leaf.initAll(gan.generator, 1, "generator"),
  discriminator: Leaf.initAll(gan.discriminator, 1, "discriminator"),
  types: {
    ...Object.fromEntries(
      (["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"] as const).map(
        (dtype) => [dtype, NdArray.zeros(dtype, [2, 3])],
      ),
    ),
    scalar: NdArray.float32([], [1.5]),
    empty: NdArray.float32([0, 4], []),
  },
}
const bytes = Buffer.concat([...TorchWriter.encode(tree)])

/** The number of bytes after an opcode. */
type Length = (data: DataView, at: number) => number

/** The opcodes that torch/_weights_only_unpickler.py knows since PyTorch 1.13. */
const opcodes: ReadonlyMap<number, Length> = new Map<number, Length>([
  ...[..."().}]NQRabestu0"].map((c): [number, Length] => [c.charCodeAt(0), () => 0]),
  ...[0x81, 0x85, 0x86, 0x87, 0x88, 0x89].map((code): [number, Length] => [code, () => 0]),
  ...[0x80, 0x4b, 0x68, 0x71].map((code): [number, Length] => [code, () => 1]), // PROTO, BININT1, BINGET, BINPUT
  [0x4d, () => 2], // BININT2
  ...[0x4a, 0x6a, 0x72].map((code): [number, Length] => [code, () => 4]), // BININT, LONG_BINGET, LONG_BINPUT
  [0x47, () => 8], // BINFLOAT
  [0x58, (data, at) => 4 + data.getUint32(at, true)], // BINUNICODE
  [0x8a, (data, at) => 1 + data.getUint8(at)], // LONG1
])
/** The names in our files that it allows by default. */
const names =
  /^(collections OrderedDict|torch\._utils _rebuild_tensor_v2|torch (Double|Float|Half|BFloat16|Long|Int|Short|Char|Byte|Bool)Storage)$/

test("the pickle has only opcodes and names that the weights-only unpickler knows", () => {
  const { bytes: pickle } = TorchWriter.pickle(tree)
  const data = new DataView(pickle.buffer, pickle.byteOffset, pickle.byteLength)
  const found = new Set<string>()
  let at = 0
  while (at < pickle.length) {
    const code = pickle[at++]!
    if (code === 0x63) {
      const [module, name] = Buffer.from(pickle.subarray(at, at + 200))
        .toString("latin1")
        .split("\n") as [string, string]
      found.add(`${module} ${name}`)
      at += module.length + name.length + 2
      continue
    }
    const length = opcodes.get(code)
    expect(length, `opcode 0x${code.toString(16)} at ${at - 1}`).toBeDefined()
    at += length!(data, at)
  }
  expect(at).toBe(pickle.length)
  expect(pickle.at(-1)).toBe(0x2e)
  expect(found.size).toBe(12)
  for (const name of found) expect(name).toMatch(names)
})

test("the archive is one folder of stored members: data.pkl first, one member per storage, version and byte order", () => {
  const { members, problems } = ZipReader.read(ByteSource.ofBytes(bytes))
  const all = [...members.keys()]
  const { arrays } = TorchWriter.pickle(tree)
  expect(problems).toEqual([])
  expect(all[0]).toBe("archive/data.pkl")
  expect(new Set(all)).toEqual(
    new Set([
      "archive/data.pkl",
      "archive/byteorder",
      "archive/version",
      ...arrays.map((_, key) => `archive/data/${key}`),
    ]),
  )
  for (const [key, array] of arrays.entries())
    expect(members.get(`archive/data/${key}`)!.content.size).toBe(NdArray.toBytes(array).length)
  // stored members are not compressed
  expect(bytes.includes(Buffer.from(NdArray.toBytes(arrays[0]!)))).toBe(true)
})

const python = ["python3", "/usr/bin/python3"].find(
  (command) => spawnSync(command, ["-c", "import torch"], { stdio: "ignore" }).status === 0,
)

const script = `
import hashlib, json, sys, torch
def walk(value, path, out):
    for key, item in value.items():
        here = key if path == "" else path + "/" + key
        if isinstance(item, dict): walk(item, here, out)
        else:
            raw = item.contiguous().view(-1).view(torch.uint8) if item.dtype != torch.bool else item.to(torch.uint8)
            out[here] = [str(item.dtype), list(item.shape), hashlib.sha256(bytes(raw.flatten().tolist())).hexdigest()]
    return out
print(json.dumps(walk(torch.load(sys.argv[1], weights_only=True), "", {})))
`

test.skipIf(python === undefined)(
  "PyTorch itself reads every tensor to the bit with weights_only=True",
  { timeout: 60_000 },
  () => {
    const file = join(mkdtempSync(join(tmpdir(), "adafm-torch-")), "x.pt")
    writeFileSync(file, bytes)
    const read: unknown = JSON.parse(execFileSync(python!, ["-c", script, file], { encoding: "utf8" }))
    const expected = Object.entries(tree).flatMap(([name, arrays]) =>
      Object.entries(arrays as Record<string, NdArray.NdArray>).map(([path, array]) => [
        `${name}/${path}`,
        [`torch.${array.dtype}`, array.shape, createHash("sha256").update(NdArray.toBytes(array)).digest("hex")],
      ]),
    )
    expect(read).toEqual(Object.fromEntries(expected))
  },
)
