/** One parameter of a network that is imported: where its values are, and how they become those of a model folder. */
import type { NdArray } from "@adafm/core"
import type * as FlattenOrder from "./FlattenOrder.ts"
import type * as ParameterNames from "./ParameterNames.ts"

/** Where a parameter is in a checkpoint, and how it is converted. */
export interface Parameter extends ParameterNames.Parameter {
  /** Axes that index a feature map flattened in TensorFlow's order. */
  readonly flattened?: FlattenOrder.Order
  /** The values where they are not just a tensor of the file. */
  readonly compute?: () => NdArray.NdArray<"float32">
}
