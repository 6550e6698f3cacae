/** Event files are read back by a reader that shares no code with the writer: another protobuf library and a CRC-32C from its definition. */
import { PbfReader } from "pbf"
import { describe, expect, test } from "vitest"
import * as EventFile from "../src/EventFile.ts"

/** CRC-32C bit by bit: the reflected polynomial 0x82f63b78. */
const crc32c = (bytes: Uint8Array): number => {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}
const unmasked = (mask: number): number => {
  const rotated = (mask - 0xa282ead8) >>> 0
  return ((rotated >>> 17) | (rotated << 15)) >>> 0
}

interface Read {
  wallTime?: number
  step?: number
  version?: string
  status?: number
  values: {
    tag?: string
    value?: number
    label?: string
    picture?: { height: number; width: number; png: Uint8Array }
  }[]
}

const readEvent = (data: Uint8Array): Read =>
  new PbfReader(data).readFields<Read>(
    (tag, event, pbf) => {
      if (tag === 1) event.wallTime = pbf.readDouble()
      if (tag === 2) event.step = pbf.readVarint()
      if (tag === 3) event.version = pbf.readString()
      if (tag === 7)
        event.status = pbf.readMessage(
          (t, s, p) => {
            if (t === 1) s.status = p.readVarint()
          },
          { status: 0 },
        ).status
      if (tag === 5)
        pbf.readMessage((summaryTag, values, summary) => {
          if (summaryTag !== 1) return
          values.push(
            summary.readMessage((t, value: Read["values"][number], p) => {
              if (t === 1) value.tag = p.readString()
              if (t === 2) value.value = p.readFloat()
              if (t === 9)
                value.label = p.readMessage(
                  (m, o, q) => {
                    if (m === 2) o.name = q.readString()
                  },
                  { name: "" },
                ).name
              if (t === 4)
                value.picture = p.readMessage(
                  (m, o, q) => {
                    if (m === 1) o.height = q.readVarint()
                    if (m === 2) o.width = q.readVarint()
                    if (m === 4) o.png = Uint8Array.from(q.readBytes())
                  },
                  { height: 0, width: 0, png: new Uint8Array() },
                )
            }, {}),
          )
        }, event.values)
    },
    { values: [] },
  )

const read = (file: Uint8Array): readonly Read[] => {
  const events: Read[] = []
  const view = new DataView(file.buffer, file.byteOffset)
  for (let at = 0; at < file.length; ) {
    const length = Number(view.getBigUint64(at, true))
    expect(unmasked(view.getUint32(at + 8, true))).toBe(crc32c(file.subarray(at, at + 8)))
    const data = file.subarray(at + 12, at + 12 + length)
    expect(unmasked(view.getUint32(at + 12 + length, true))).toBe(crc32c(data))
    events.push(readEvent(data))
    at += 16 + length
  }
  return events
}

/** The smallest PNG, 1 × 1. */
const PNG = Uint8Array.from(
  Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "base64",
  ),
)

test("the reader's CRC-32C has the check value of the standard", () => {
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283)
})

describe("an event file", () => {
  test("has version, start, scalars and pictures, each with its step, time and label", () => {
    const file = Buffer.concat([
      EventFile.record({ kind: "version" }, 1_700_000_000.5),
      EventFile.record({ kind: "start", step: 300 }, 1_700_000_001),
      EventFile.record(
        {
          kind: "values",
          step: 2 ** 33,
          values: [
            { kind: "scalar", tag: "score/fid", value: 1.25, label: "FID (inception-768)" },
            { kind: "scalar", tag: "train/g_loss", value: -0.5 },
            { kind: "picture", tag: "samples", png: PNG },
          ],
        },
        1_700_000_002,
      ),
    ])
    expect(read(file)).toEqual([
      { wallTime: 1_700_000_000.5, version: "brain.Event:2", values: [] },
      { wallTime: 1_700_000_001, step: 300, status: 1, values: [] },
      {
        wallTime: 1_700_000_002,
        step: 2 ** 33,
        values: [
          { tag: "score/fid", value: 1.25, label: "FID (inception-768)" },
          { tag: "train/g_loss", value: -0.5, label: "train/g_loss" },
          { tag: "samples", label: "samples", picture: { height: 1, width: 1, png: PNG } },
        ],
      },
    ])
  })

  test("has a name that TensorBoard finds and every file system takes", () => {
    expect(EventFile.nameOf(1_700_000_000.5, "my host/1", "7")).toBe("events.out.tfevents.1700000000.my_host_1.7")
  })
})
