/**
 * The part of the ONNX file format that this project reads and writes: `onnx.proto3` as a protobuf.js descriptor (field numbers are the
 * format's own). https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
 */
import * as E from "fp-ts/lib/Either.js"
import protobuf from "protobufjs/light.js"

export interface TensorProto {
  readonly dims?: readonly number[]
  readonly dataType?: number
  readonly name?: string
  readonly rawData?: Uint8Array
  readonly floatData?: readonly number[]
  readonly int32Data?: readonly number[]
  readonly int64Data?: readonly (number | string)[]
  readonly doubleData?: readonly number[]
  /** 1 if the data are in another file, which is never read. */
  readonly dataLocation?: number
}
export interface AttributeProto {
  readonly name: string
  readonly type: number
  readonly f?: number
  readonly i?: number
  readonly s?: Uint8Array
  readonly t?: TensorProto
  readonly g?: GraphProto
  readonly floats?: readonly number[]
  readonly ints?: readonly number[]
}
export interface NodeProto {
  readonly input: readonly string[]
  readonly output: readonly string[]
  readonly name?: string
  readonly opType: string
  readonly domain?: string
  readonly attribute?: readonly AttributeProto[]
}
export interface ValueInfoProto {
  readonly name: string
  readonly type?: {
    readonly tensorType?: {
      readonly elemType: number
      readonly shape?: { readonly dim?: readonly { readonly dimValue?: number; readonly dimParam?: string }[] }
    }
  }
}
export interface GraphProto {
  readonly name?: string
  readonly node?: readonly NodeProto[]
  readonly initializer?: readonly TensorProto[]
  readonly input?: readonly ValueInfoProto[]
  readonly output?: readonly ValueInfoProto[]
}
export interface ModelProto {
  readonly irVersion: number
  readonly producerName?: string
  readonly producerVersion?: string
  readonly graph?: GraphProto
  readonly opsetImport?: readonly { readonly domain?: string; readonly version: number }[]
  readonly metadataProps?: readonly { readonly key: string; readonly value: string }[]
}

const field = (type: string, id: number) => ({ type, id })
const repeated = (type: string, id: number) => ({ rule: "repeated", type, id })

const root = protobuf.Root.fromJSON({
  nested: {
    Tensor: {
      fields: {
        dims: repeated("int64", 1),
        dataType: field("int32", 2),
        floatData: repeated("float", 4),
        int32Data: repeated("int32", 5),
        int64Data: repeated("int64", 7),
        name: field("string", 8),
        rawData: field("bytes", 9),
        doubleData: repeated("double", 10),
        dataLocation: field("int32", 14),
      },
    },
    Attribute: {
      fields: {
        name: field("string", 1),
        f: field("float", 2),
        i: field("int64", 3),
        s: field("bytes", 4),
        t: field("Tensor", 5),
        g: field("Graph", 6),
        floats: repeated("float", 7),
        ints: repeated("int64", 8),
        type: field("int32", 20),
      },
    },
    Node: {
      fields: {
        input: repeated("string", 1),
        output: repeated("string", 2),
        name: field("string", 3),
        opType: field("string", 4),
        attribute: repeated("Attribute", 5),
        domain: field("string", 7),
      },
    },
    Dimension: {
      oneofs: { value: { oneof: ["dimValue", "dimParam"] } },
      fields: { dimValue: field("int64", 1), dimParam: field("string", 2) },
    },
    Shape: { fields: { dim: repeated("Dimension", 1) } },
    TensorType: { fields: { elemType: field("int32", 1), shape: field("Shape", 2) } },
    Type: { fields: { tensorType: field("TensorType", 1) } },
    ValueInfo: { fields: { name: field("string", 1), type: field("Type", 2) } },
    Graph: {
      fields: {
        node: repeated("Node", 1),
        name: field("string", 2),
        initializer: repeated("Tensor", 5),
        input: repeated("ValueInfo", 11),
        output: repeated("ValueInfo", 12),
      },
    },
    OperatorSet: { fields: { domain: field("string", 1), version: field("int64", 2) } },
    Property: { fields: { key: field("string", 1), value: field("string", 2) } },
    Model: {
      fields: {
        irVersion: field("int64", 1),
        producerName: field("string", 2),
        producerVersion: field("string", 3),
        graph: field("Graph", 7),
        opsetImport: repeated("OperatorSet", 8),
        metadataProps: repeated("Property", 14),
      },
    },
  },
})
const Model = root.lookupType("Model")

/** Codes of `TensorProto.DataType`. */
export const dataTypes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
} as const

/** The bytes of a model. */
export const encode = (model: ModelProto): Uint8Array => Model.encode(Model.fromObject(model)).finish()

/** Decodes a model; 64-bit integers become numbers, `int64Data` decimal strings. Bytes that are not a protobuf message are a `Left`. */
export const decode = (bytes: Uint8Array): E.Either<Error, ModelProto> =>
  E.tryCatch(
    () => Model.toObject(Model.decode(bytes), { longs: Number, arrays: true }) as ModelProto,
    (thrown) => (thrown instanceof Error ? thrown : new Error(String(thrown))),
  )
