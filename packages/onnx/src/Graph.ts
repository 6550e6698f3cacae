/**
 * A typed builder of ONNX graphs. Values are names; an operation returns the name of its result. Equal small constants
 * are stored once.
 */
import * as Proto from "./Proto.ts"

export type DType = keyof typeof Proto.dataTypes

/** A dense row-major array; `@adafm/core`'s `NdArray` is one. */
export interface TensorData {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: ArrayBufferView & { readonly length: number }
}

/** The name of a value inside a graph; `""` is an omitted optional input. */
export type Value = string

/** Whole numbers are ONNX ints; write a float attribute as `float(0.2)`. */
export type Attribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly graph: Proto.GraphProto }
export const float = (value: number): Attribute => ({ float: value })

export interface OpOptions {
  /** `""` (default) is ONNX's own operator set. */
  readonly domain?: string
  readonly name?: string
}

export interface Dim {
  readonly param: string
}
/** A dimension is a number, or the name of a free one (`{ param: "N" }`). */
export type Shape = readonly (number | Dim)[]

export interface Builder {
  /** Declares a graph input; returns its name. */
  readonly input: (name: string, dtype: DType, shape: Shape) => Value
  /** Stores a tensor in the graph. */
  readonly constant: (tensor: TensorData) => Value
  /** A rank-1 int64 constant: axes, shapes, pads. */
  readonly ints: (values: readonly number[]) => Value
  /** A float32 scalar constant. */
  readonly scalar: (value: number) => Value
  /** Adds an operator with one result. */
  readonly op: (
    type: string,
    inputs: readonly Value[],
    attributes?: Readonly<Record<string, Attribute>>,
    options?: OpOptions,
  ) => Value
  /** Like `op`, for operators with `count` results. */
  readonly ops: (
    count: number,
    type: string,
    inputs: readonly Value[],
    attributes?: Readonly<Record<string, Attribute>>,
    options?: OpOptions,
  ) => readonly Value[]
  /** Declares `value` as the graph output `name`. */
  readonly output: (name: string, value: Value, dtype: DType, shape: Shape) => void
  /** The graph so far. */
  readonly graph: () => Proto.GraphProto
}

const DEDUPLICATE_BELOW = 1024 // elements; larger constants are weights, which are never equal

const attributeProto = (name: string, value: Attribute): Proto.AttributeProto => {
  if (typeof value === "number") return { name, type: 2, i: value }
  if (typeof value === "string") return { name, type: 3, s: new TextEncoder().encode(value) }
  if (Array.isArray(value)) return { name, type: 7, ints: value as readonly number[] }
  const tagged = value as Exclude<Attribute, number | string | readonly number[]>
  if ("float" in tagged) return { name, type: 1, f: tagged.float }
  if ("floats" in tagged) return { name, type: 6, floats: tagged.floats }
  return { name, type: 5, g: tagged.graph }
}

const valueInfo = (name: string, dtype: DType, shape: Shape): Proto.ValueInfoProto => ({
  name,
  type: {
    tensorType: {
      elemType: Proto.dataTypes[dtype],
      shape: { dim: shape.map((d) => (typeof d === "number" ? { dimValue: d } : { dimParam: d.param })) },
    },
  },
})

/** @param prefix starts every generated name, so that the names of a sub-graph differ from its parent's */
export const builder = (prefix = ""): Builder => {
  const node: Proto.NodeProto[] = []
  const initializer: Proto.TensorProto[] = []
  const input: Proto.ValueInfoProto[] = []
  const output: Proto.ValueInfoProto[] = []
  const known = new Map<string, Value>()
  let count = 0
  const fresh = (kind: string): Value => `${prefix}${kind}_${count++}`

  const constant = ({ dtype, shape, data }: TensorData): Value => {
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const key =
      data.length < DEDUPLICATE_BELOW
        ? `${dtype}[${shape.join()}]${new TextDecoder("latin1").decode(rawData)}`
        : undefined
    const stored = key === undefined ? undefined : known.get(key)
    if (stored !== undefined) return stored
    const name = fresh("const")
    initializer.push({ name, dims: [...shape], dataType: Proto.dataTypes[dtype], rawData })
    if (key !== undefined) known.set(key, name)
    return name
  }

  const ops: Builder["ops"] = (outputs, type, inputs, attributes = {}, { domain = "", name } = {}) => {
    const results = Array.from({ length: outputs }, () => fresh(type))
    node.push({
      opType: type,
      input: [...inputs],
      output: results,
      name: name ?? results[0]!,
      domain,
      attribute: Object.entries(attributes).map(([key, value]) => attributeProto(key, value)),
    })
    return results
  }

  return {
    constant,
    ops,
    op: (type, inputs, attributes, options) => ops(1, type, inputs, attributes, options)[0]!,
    ints: (values) => constant({ dtype: "int64", shape: [values.length], data: BigInt64Array.from(values, BigInt) }),
    scalar: (value) => constant({ dtype: "float32", shape: [], data: Float32Array.of(value) }),
    input: (name, dtype, shape) => {
      input.push(valueInfo(name, dtype, shape))
      return name
    },
    output: (name, value, dtype, shape) => {
      node.push({ opType: "Identity", input: [value], output: [name], name: `${prefix}output_${name}` })
      output.push(valueInfo(name, dtype, shape))
    },
    graph: () => ({ name: prefix || "main", node, initializer, input, output }),
  }
}

export interface ModelOptions {
  /** Version of ONNX's own operator set; 18 by default. */
  readonly opset?: number
  /** Further operator sets, e.g. `{ "com.microsoft": 1 }`. */
  readonly domains?: Readonly<Record<string, number>>
  readonly metadata?: Readonly<Record<string, string>>
}

/** The bytes of an `.onnx` file. */
export const encode = (
  graph: Proto.GraphProto,
  { opset = 18, domains = {}, metadata = {} }: ModelOptions = {},
): Uint8Array =>
  Proto.encode({
    irVersion: 8, // what operator set 18 needs; runtimes from 1.14 on read it
    producerName: "adafm",
    opsetImport: [
      { domain: "", version: opset },
      ...Object.entries(domains).map(([domain, version]) => ({ domain, version })),
    ],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph,
  })
