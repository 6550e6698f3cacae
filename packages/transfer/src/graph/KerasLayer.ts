/** A layer as Keras describes it: its class, its configuration, and what it reads. */
import { JsonFile } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"

export type Json = JsonFile.JsonObject

export interface Layer {
  readonly class: string
  readonly name: string
  readonly config: Json
  /** Names of the values that it reads; empty in a sequential model. */
  readonly inputs: readonly string[]
}

export const bad = (message: string, path?: string): never =>
  Failure.raise("UnsupportedGraph", message, path === undefined ? {} : { path })

export const numbersOf = (value: unknown): readonly number[] | undefined =>
  Array.isArray(value) && value.every((v) => typeof v === "number") ? (value as readonly number[]) : undefined

/** `[4, 4]` or `4`, where both are equal. */
export const one = ({ config, name }: Layer, key: string, otherwise: number): number => {
  const value = config[key]
  if (value === undefined || value === null) return otherwise
  if (typeof value === "number") return value
  const list = numbersOf(value)
  return list !== undefined && list.length > 0 && list.every((v) => v === list[0])
    ? list[0]!
    : bad(`the layer ${name} has ${key} ${JSON.stringify(value)}; only equal numbers are supported`, name)
}

export const history = (value: unknown): readonly string[] => {
  if (Array.isArray(value)) {
    // ["name", 0, 0, {}] of Keras 2
    if (typeof value[0] === "string" && typeof value[1] === "number") return [value[0]]
    return value.flatMap(history)
  }
  if (!JsonFile.isObject(value)) return []
  if (value.class_name === "__keras_tensor__" && JsonFile.isObject(value.config))
    return history(value.config.keras_history)
  return "args" in value ? history(value.args) : []
}

export const layersOf = (config: Json): readonly Layer[] => {
  const list = Array.isArray(config.layers)
    ? (config.layers as readonly unknown[])
    : bad("the model has no list of layers")
  return list.map((value): Layer => {
    if (!JsonFile.isObject(value) || typeof value.class_name !== "string" || !JsonFile.isObject(value.config))
      return bad("a layer of the model has no class_name or no config")
    const name = typeof value.name === "string" ? value.name : String(value.config.name ?? value.class_name)
    const nodes = Array.isArray(value.inbound_nodes) ? (value.inbound_nodes as readonly unknown[]) : []
    if (nodes.length > 1) return bad(`the layer ${name} is used ${nodes.length} times, which is not supported`, name)
    return { class: value.class_name, name, config: value.config, inputs: nodes.flatMap(history) }
  })
}

/** The shape that a model or its first layer says its input has. */
export const inputShape = ({ config }: Layer, model: Json): readonly number[] | undefined => {
  const value = config.batch_input_shape ?? config.batch_shape ?? model.build_input_shape
  return Array.isArray(value) ? value.map((d) => (typeof d === "number" ? d : -1)) : undefined
}

/** `[[top, bottom], [left, right]]`, `[rows, columns]` or one number. */
export const sides = ({ config }: Layer, key: string): readonly number[] => {
  const value = config[key]
  if (typeof value === "number") return [value, value, value, value]
  const [rows, columns] = Array.isArray(value) ? (value as readonly unknown[]) : [0, 0]
  const pair = (v: unknown): readonly number[] => (typeof v === "number" ? [v, v] : (numbersOf(v) ?? [0, 0]))
  const [[top, bottom], [left, right]] = [pair(rows), pair(columns)] as [readonly number[], readonly number[]]
  return [top!, left!, bottom!, right!]
}

/** As ONNX calls it. */
export const padding = ({ config, name }: Layer): string =>
  config.padding === "same"
    ? "SAME_UPPER"
    : config.padding === undefined || config.padding === "valid"
      ? "VALID"
      : bad(`the layer ${name} has the padding ${JSON.stringify(config.padding)}`, name)
