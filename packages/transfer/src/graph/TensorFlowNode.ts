/** A node of a frozen TensorFlow graph as TensorFlow.js writes it: a `NodeDef` as JSON, its texts in base64. */
import { JsonFile, type Topology } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"
import * as Operators from "./Operators.ts"

export interface Node {
  readonly name: string
  readonly op: string
  readonly inputs: readonly string[]
  readonly attr: JsonFile.JsonObject
}

const decoded = (text: string): string => {
  try {
    return atob(text)
  } catch {
    return text
  }
}

/** Base64 text of TensorFlow.js's JSON, where it is text. */
export const textOf = (value: unknown): string | undefined => (typeof value === "string" ? decoded(value) : undefined)

const field = ({ attr }: Node, name: string, kind: string): unknown => {
  const value = attr[name]
  return JsonFile.isObject(value) ? value[kind] : undefined
}
export const numberOf = (node: Node, name: string, otherwise: number): number => {
  const value = field(node, name, "f") ?? field(node, name, "i")
  return value === undefined ? otherwise : Number(value)
}
export const flagOf = (node: Node, name: string): boolean => field(node, name, "b") === true
export const textAttribute = (node: Node, name: string): string | undefined => textOf(field(node, name, "s"))
export const listOf = (node: Node, name: string, kind: "i" | "s"): readonly unknown[] => {
  const list = field(node, name, "list")
  const own = JsonFile.isObject(list) ? list[kind] : undefined
  return Array.isArray(own) ? (own as readonly unknown[]) : []
}
export const ints = (node: Node, name: string): readonly number[] => listOf(node, name, "i").map(Number)

const nodeOf = (value: unknown): Node => {
  if (!JsonFile.isObject(value) || typeof value.name !== "string" || typeof value.op !== "string")
    return Failure.raise("UnsupportedGraph", "a node of the graph has no name or no op")
  const inputs = Array.isArray(value.input) ? value.input.filter((v) => typeof v === "string") : []
  return {
    name: value.name,
    op: value.op,
    // `^name` is an order, not a value; `name:0` the first output. Others keep their number, and nothing here makes them
    inputs: inputs.filter((v) => !v.startsWith("^")).map((v) => v.replace(/:0$/, "")),
    attr: JsonFile.isObject(value.attr) ? value.attr : {},
  }
}

export const shapeOf = (node: Node): readonly number[] | undefined => {
  const shape = field(node, "shape", "shape")
  const dims = JsonFile.isObject(shape) ? shape.dim : undefined
  return Array.isArray(dims) ? dims.map((d) => Number(JsonFile.isObject(d) ? (d.size ?? 0) : -1)) : undefined
}

/** The nodes in an order in which they can be computed; a file may have another. */
export const sorted = ({ graph }: Topology.TensorFlowGraph): readonly Node[] => {
  const nodes = (graph.node as readonly unknown[]).map(nodeOf)
  const names = new Set(nodes.map(({ name }) => name))
  const sourcesOf = ({ inputs }: Node): readonly string[] =>
    [...new Set(inputs.map((v) => v.replace(/:\d+$/, "")))].filter((v) => names.has(v))
  const readers = new Map<string, Node[]>()
  const missing = new Map<Node, number>()
  for (const node of nodes) {
    const sources = sourcesOf(node)
    missing.set(node, sources.length)
    for (const name of sources) {
      const known = readers.get(name)
      if (known === undefined) readers.set(name, [node])
      else known.push(node)
    }
  }
  const made = nodes.filter((node) => missing.get(node) === 0)
  const seen = new Set<string>()
  // the list grows while it is walked
  for (const { name } of made) {
    if (seen.has(name)) Failure.raise("UnsupportedGraph", `two nodes are called ${name}`, { path: name })
    seen.add(name)
    for (const reader of readers.get(name) ?? []) {
      const left = missing.get(reader)! - 1
      missing.set(reader, left)
      if (left === 0) made.push(reader)
    }
  }
  const [stuck] = nodes.filter((node) => missing.get(node)! > 0)
  return stuck === undefined ? made : Operators.refuse(stuck, "depends on itself")
}

/** The outputs that the signature names. */
export const signed = ({ signature }: Topology.TensorFlowGraph): readonly string[] | undefined => {
  const outputs = signature === undefined ? undefined : signature.outputs
  if (!JsonFile.isObject(outputs)) return undefined
  const names = Object.values(outputs).flatMap((v) =>
    JsonFile.isObject(v) && typeof v.name === "string" ? [v.name.replace(/:0$/, "")] : [],
  )
  return names.length > 0 ? names : undefined
}
