/** What the reader of every format returns: tensors as views, everything else as plain JSON. */
import type { Flat } from "@adafm/core"
import type * as JsonValue from "./JsonValue.ts"
import type * as TensorView from "./TensorView.ts"
import type * as Topology from "./Topology.ts"

export type Format = "torch-legacy" | "torch-zip" | "safetensors" | "npz" | "onnx" | "tfjs" | "keras" | "tf-checkpoint"

export interface ParsedFile {
  readonly format: Format
  readonly views: Flat.Flat<TensorView.View>
  readonly scalars: Flat.Flat<JsonValue.JsonValue>
  /** Key-value text of formats that have it (safetensors). */
  readonly metadata: Readonly<Record<string, string>>
  /** The network, in formats that hold it. */
  readonly topology?: Topology.Topology
  /** Set where the file sorts its layers by name, so that their order is lost. */
  readonly isSorted?: boolean
  /** Harmless oddities. Anything that is not harmless is a failure. */
  readonly problems: readonly string[]
  /** Checks all checksums of the file; raises. */
  readonly verify: () => void
}
