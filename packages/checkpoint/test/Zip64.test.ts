/** A PyTorch archive beyond 4 GiB: a sparse file, so that sizes and offsets need zip64 while the disk holds some kilobytes. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { crc32 } from "node:zlib"
import { Failure, NdArray } from "@adafm/core"
import { expect, test } from "vitest"
import * as Checkpoint from "../src/Checkpoint.ts"
import * as TorchWriter from "../src/torch/TorchWriter.ts"

const FULL = 0xffffffff
const GIB = 2 ** 30

/** Whether the disk has room for the file, in case the file system has no sparse files. */
const { bavail, bsize } = statfsSync(tmpdir())
const hasRoom = bavail * bsize > 6 * GIB

const little = (...fields: readonly (readonly [2 | 4 | 8, number])[]): Buffer =>
  Buffer.concat(
    fields.map(([bytes, value]) => {
      const field = Buffer.alloc(8)
      field.writeBigUInt64LE(BigInt(value))
      return field.subarray(0, bytes)
    }),
  )

interface Member {
  readonly name: string
  /** The bytes that are written; the rest of `size` is a hole. */
  readonly head: Uint8Array
  readonly size: number
}

/** Written by hand from the zip specification (APPNOTE 4.3, 4.5.3), not by our writer. */
const write = (file: string, members: readonly Member[]): void => {
  const handle = openSync(file, "w")
  let at = 0
  const put = (bytes: Uint8Array, position: number): void => {
    writeSync(handle, bytes, 0, bytes.length, position)
  }
  const directory = members.map(({ name, head, size }) => {
    const local = at
    const isWide = size >= FULL
    const extra = isWide ? little([2, 1], [2, 16], [8, size], [8, size]) : Buffer.alloc(0)
    const sum = head.length === size ? crc32(head) : 0 // the test does not read the hole
    const common = [
      [2, 45],
      [2, 0],
      [2, 0],
      [2, 0],
      [2, 0x21],
      [4, sum],
      [4, isWide ? FULL : size],
      [4, isWide ? FULL : size],
      [2, name.length],
    ] as const
    put(Buffer.concat([little([4, 0x04034b50], ...common, [2, extra.length]), Buffer.from(name), extra]), at)
    at += 30 + name.length + extra.length
    put(head, at)
    at += size
    const fields = [...(isWide ? [size, size] : []), ...(local >= FULL ? [local] : [])]
    const wide =
      fields.length === 0
        ? Buffer.alloc(0)
        : little([2, 1], [2, 8 * fields.length], ...fields.map((f) => [8, f] as const))
    return Buffer.concat([
      little(
        [4, 0x02014b50],
        [2, 45],
        ...common,
        [2, wide.length],
        [2, 0],
        [2, 0],
        [2, 0],
        [4, 0],
        [4, Math.min(local, FULL)],
      ),
      Buffer.from(name),
      wide,
    ])
  })
  const entries = Buffer.concat(directory)
  const [count, begin] = [members.length, at]
  put(entries, at)
  at += entries.length
  const end64 = little(
    [4, 0x06064b50],
    [8, 44],
    [2, 45],
    [2, 45],
    [4, 0],
    [4, 0],
    [8, count],
    [8, count],
    [8, entries.length],
    [8, begin],
  )
  const tail = Buffer.concat([
    end64,
    little([4, 0x07064b50], [4, 0], [8, at], [4, 1]),
    little([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, entries.length], [4, FULL], [2, 0]),
  ])
  put(tail, at)
  ftruncateSync(handle, at + tail.length)
  closeSync(handle)
}

test.skipIf(!hasRoom)("a tensor of more than 4 GiB and the one after it are found", async () => {
  const here = mkdtempSync(join(tmpdir(), "adafm-zip64-"))
  try {
    const elements = GIB + 16
    const after = NdArray.float32([3], [1, 2, 3])
    // the pickle needs only the shape and the type of the large tensor
    const large = { dtype: "float32" as const, shape: [elements], data: new Float32Array(0) }
    const { bytes } = TorchWriter.pickle({ large, after })
    const first = NdArray.toBytes(NdArray.float32([2], [7, 8]))
    const file = join(here, "large.pt")
    write(file, [
      { name: "archive/data.pkl", head: bytes, size: bytes.length },
      { name: "archive/data/0", head: first, size: 4 * elements },
      { name: "archive/data/1", head: NdArray.toBytes(after), size: 12 },
      { name: "archive/version", head: Buffer.from("3\n"), size: 2 },
    ])
    expect(statSync(file).size).toBeGreaterThan(4 * GIB)
    const found = Failure.orThrow(
      await Checkpoint.use(file, ({ format, tensors, read, pieces }) => ({
        format,
        shape: tensors.large?.shape,
        after: [...read("after").data],
        begin: [...pieces("large")[Symbol.iterator]().next().value!.data.subarray(0, 3)],
      }))(),
    )
    expect(found).toEqual({ format: "torch-zip", shape: [elements], after: [1, 2, 3], begin: [7, 8, 0] })
  } finally {
    rmSync(here, { recursive: true })
  }
})
