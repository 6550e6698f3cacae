/**
 * The one description that every file with a graph becomes first: operators with ONNX's names and meanings, in an order in which
 * they can be computed. `FromOnnx`, `FromKeras` and `FromTensorFlow` write it, `Compile` reads it.
 */
import { Failure } from "@adafm/core"
import type * as Constant from "./Constant.ts"

export type Attribute =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | { readonly constant: Constant.Constant }

export interface Node {
  /** As the file calls it, for messages and for the names of parameters. */
  readonly name: string
  readonly op: string
  /** Names of values; an empty name is an input that is not given. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, Attribute>>
}

export interface Input {
  readonly name: string
  /** The first dimension is the batch; -1 is free. */
  readonly shape: readonly number[] | undefined
}

export interface Graph {
  readonly inputs: readonly Input[]
  readonly outputs: readonly string[]
  readonly nodes: readonly Node[]
  readonly constants: ReadonlyMap<string, Constant.Constant>
}

/** What a network here cannot carry. */
export const refuse = ({ name, op }: Pick<Node, "name" | "op">, reason: string): never =>
  Failure.raise("UnsupportedGraph", `the node ${name === "" ? "without a name" : name} (${op}) ${reason}`, {
    path: name,
  })

export const number = (node: Node, key: string, otherwise: number): number => {
  const value = node.attributes[key]
  return value === undefined ? otherwise : typeof value === "number" ? value : refuse(node, `has a strange ${key}`)
}

export const text = (node: Node, key: string, otherwise: string): string => {
  const value = node.attributes[key]
  return value === undefined ? otherwise : typeof value === "string" ? value : refuse(node, `has a strange ${key}`)
}

export const numbers = (node: Node, key: string): readonly number[] | undefined => {
  const value = node.attributes[key]
  if (value === undefined) return undefined
  return Array.isArray(value) && value.every((v) => typeof v === "number")
    ? (value as readonly number[])
    : refuse(node, `has a strange ${key}`)
}
