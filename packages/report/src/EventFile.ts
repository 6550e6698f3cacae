/**
 * TensorBoard's event files: scalars and pictures along training. A file is a sequence of records (length, payload, and a masked
 * CRC-32C of each), each payload an `Event` message.
 * https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto
 */
import crc32c from "crc-32/crc32c.js"
import protobuf from "protobufjs/light.js"
import * as PictureGrid from "./PictureGrid.ts"

/** What is shown at one step. */
export type Value =
  | {
      readonly kind: "scalar"
      /** A short name; what comes before a slash groups the charts. */
      readonly tag: string
      readonly value: number
      /** The title of the chart; the tag by default. */
      readonly label?: string
    }
  | { readonly kind: "picture"; readonly tag: string; readonly png: Uint8Array; readonly label?: string }

export type Event =
  /** The first record of a file. */
  | { readonly kind: "version" }
  /** Training begins, or goes on, at this step: TensorBoard drops what earlier files of the folder have from here on. */
  | { readonly kind: "start"; readonly step: number }
  | { readonly kind: "values"; readonly step: number; readonly values: readonly Value[] }

const field = (type: string, id: number) => ({ type, id })

/** The part of the format that is written here; field numbers are the format's own. */
const message = protobuf.Root.fromJSON({
  nested: {
    Picture: {
      fields: {
        height: field("int32", 1),
        width: field("int32", 2),
        colorspace: field("int32", 3),
        encodedImageString: field("bytes", 4),
      },
    },
    Metadata: { fields: { displayName: field("string", 2) } },
    Value: {
      fields: {
        tag: field("string", 1),
        simpleValue: field("float", 2),
        image: field("Picture", 4),
        metadata: field("Metadata", 9),
      },
    },
    Summary: { fields: { value: { rule: "repeated", ...field("Value", 1) } } },
    SessionLog: { fields: { status: field("int32", 1) } },
    Event: {
      fields: {
        wallTime: field("double", 1),
        step: field("int64", 2),
        fileVersion: field("string", 3),
        summary: field("Summary", 5),
        sessionLog: field("SessionLog", 7),
      },
    },
  },
}).lookupType("Event")

/** `SessionLog.START` */
const START = 1
/** RGB */
const COLOURS = 3

const summaryOf = (value: Value): object => {
  const metadata = { displayName: value.label ?? value.tag }
  if (value.kind === "scalar") return { tag: value.tag, simpleValue: value.value, metadata }
  const [width, height] = PictureGrid.sizeOf(value.png)
  return { tag: value.tag, image: { height, width, colorspace: COLOURS, encodedImageString: value.png }, metadata }
}

const payload = (event: Event, seconds: number): Uint8Array => {
  const common = { wallTime: seconds }
  const fields =
    event.kind === "version"
      ? { fileVersion: "brain.Event:2" }
      : event.kind === "start"
        ? { step: event.step, sessionLog: { status: START } }
        : { step: event.step, summary: { value: event.values.map(summaryOf) } }
  return message.encode(message.fromObject({ ...common, ...fields })).finish()
}

/** A CRC of data that hold CRCs is weak, so the format rotates and shifts it. */
const masked = (bytes: Uint8Array): number => {
  const crc = crc32c.buf(bytes) >>> 0
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** The bytes of one event. Events are appended to a file one after the other; the first one is `version`. @param seconds since 1970 */
export const record = (event: Event, seconds: number): Uint8Array => {
  const data = payload(event, seconds)
  const bytes = new Uint8Array(8 + 4 + data.length + 4)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, masked(bytes.subarray(0, 8)), true)
  bytes.set(data, 12)
  view.setUint32(12 + data.length, masked(data), true)
  return bytes
}

/** The name that TensorBoard looks for. @param part makes names of one second unique */
export const nameOf = (seconds: number, host: string, part: string): string =>
  `events.out.tfevents.${Math.floor(seconds)}.${host.replace(/[^\w.-]/g, "_")}.${part}`
