/** The network that a file contains besides its weights, as the file says it: what its reader checks is the form, not the meaning. */
import type * as JsonFile from "./JsonFile.ts"
import type * as TensorView from "./TensorView.ts"

export interface ValueInfo {
  readonly name: string
  /** A free dimension is -1; absent where the file does not say the shape. */
  readonly shape?: readonly number[]
}

/** A tensor that a node holds itself. */
export type Attribute = number | string | readonly number[] | readonly string[] | { readonly tensor: TensorView.View }

export interface OnnxNode {
  readonly name: string
  readonly op: string
  readonly domain: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, Attribute>>
  /** Attributes of kinds that no network here needs (sub-graphs, sparse tensors). */
  readonly unread: readonly string[]
}

export interface OnnxGraph {
  readonly kind: "onnx"
  readonly nodes: readonly OnnxNode[]
  readonly inputs: readonly ValueInfo[]
  readonly outputs: readonly ValueInfo[]
  readonly opset: number
}

/** Keras' description of a model: `model_config` of an `.h5`, `config.json` of a `.keras`, `modelTopology` of TensorFlow.js. */
export interface KerasModel {
  readonly kind: "keras"
  readonly config: JsonFile.JsonObject
  /** Paths of the tensors of each layer in the layer's own order (kernel, bias, …), by layer name. */
  readonly weights: Readonly<Record<string, readonly string[]>>
}

/** A frozen TensorFlow graph of TensorFlow.js: a `GraphDef` as JSON. */
export interface TensorFlowGraph {
  readonly kind: "tensorflow"
  readonly graph: JsonFile.JsonObject
  /** Names of inputs and outputs, where the file has a signature. */
  readonly signature: JsonFile.JsonObject | undefined
}

export type Topology = OnnxGraph | KerasModel | TensorFlowGraph
