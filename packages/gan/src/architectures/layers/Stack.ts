/**
 * A network as data: a list of layers that are applied in order, with branches that meet again (residual blocks, labels). The
 * `path` of a layer is its name in the checkpoint. Examples are DCGANs, critics of WGAN-GP, upsampling generators and multi-layer
 * perceptrons.
 */
import { Flat, Leaf } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import type { Tensors } from "../../Network.ts"
import * as Activation from "./Activation.ts"
import * as StackLayer from "./StackLayer.ts"

/** Branches that all read the same input and meet again. Concatenation joins the channels. */
const Merge = z.strictObject({
  kind: z.literal(["sum", "product", "concat"]),
  branches: z.array(z.array(z.lazy((): typeof Layer => Layer))).min(2),
})

/** Joins what the layers make of the class label, in a network with labels. They begin with `embedding` or `oneHot`. */
const Label = z.strictObject({
  kind: z.literal("label"),
  join: z.enum(["sum", "product", "concat"]),
  /** The label's channels come before the input's, not after them. */
  first: z.boolean().default(false),
  layers: z.array(z.lazy((): typeof Layer => Layer)).min(1),
})

export type Layer =
  | StackLayer.Layer
  | { kind: "sum" | "product" | "concat"; branches: Layer[][] }
  | { kind: "label"; join: "sum" | "product" | "concat"; first: boolean; layers: Layer[] }
type Input =
  | StackLayer.Input
  | { kind: "sum" | "product" | "concat"; branches: Input[][] }
  | { kind: "label"; join: "sum" | "product" | "concat"; first?: boolean | undefined; layers: Input[] }

export const Layer: z.ZodType<Layer, Input> = z.discriminatedUnion("kind", [
  ...StackLayer.schemas,
  ...Activation.schemas,
  Merge,
  Label,
])
export type Stack = readonly Layer[]

/** Every layer, those in branches too, in order. */
export function* walk(stack: Stack): Generator<StackLayer.Layer> {
  for (const layer of stack)
    if ("layers" in layer) yield* walk(layer.layers)
    else if ("branches" in layer) for (const branch of layer.branches) yield* walk(branch)
    else yield layer
}

/** Number of classes, or 1 where no layer reads a label. */
export const labels = (stack: Stack): number =>
  [...walk(stack)].reduce((n, layer) => ("classes" in layer ? Math.max(n, layer.classes) : n), 1)

export const spec = (stack: Stack): Flat.Flat<Leaf.Leaf> =>
  Flat.merge(
    ...[...walk(stack)].flatMap((layer) => {
      const own = StackLayer.spec(layer)
      if (own === undefined || !("path" in layer)) return []
      return [Flat.fromEntries(Object.entries(Leaf.flatten(own)).map(([p, leaf]) => [`${layer.path}.${p}`, leaf]))]
    }),
  )

/** The parameters of one layer, without the layer's path. */
const at = (params: Tensors, path: string): Tensors => {
  const prefix = `${path}.`
  const own = Object.entries(params).flatMap(([p, tensor]) =>
    p.startsWith(prefix) ? [[p.slice(prefix.length), tensor] as const] : [],
  )
  return Flat.unflatten(Flat.fromEntries(own)) as unknown as Tensors
}

export interface Result {
  readonly y: tf.Tensor
  /** The running statistics after this batch; empty if `norm` is `stored`. */
  readonly statistics: Tensors
}

export interface Inputs {
  /** Rows of weights over the classes, `[B, classes]`: of labels, an identity matrix's. Needed by a stack with labels. */
  readonly classes?: tf.Tensor
  /** Which statistics batch norm uses: the stored ones or this batch's. */
  readonly norm: "stored" | "batch"
}

const join = (kind: "sum" | "product" | "concat", all: readonly tf.Tensor[]): tf.Tensor => {
  if (kind === "concat") return tf.concat([...all], all[0]!.rank - 1)
  return all.reduce((a, b) => (kind === "sum" ? tf.add(a, b) : tf.mul(a, b)))
}

export const apply = (stack: Stack, params: Tensors, x: tf.Tensor, { classes, norm }: Inputs): Result => {
  const statistics: Record<string, tf.Tensor> = {}
  const step = (h: tf.Tensor, layer: Layer): tf.Tensor => {
    switch (layer.kind) {
      case "sum":
      case "product":
      case "concat":
        return join(
          layer.kind,
          layer.branches.map((branch) => branch.reduce(step, h)),
        )
      case "label": {
        if (classes === undefined) throw new Error("a network with labels needs labels")
        const label = layer.layers.reduce(step, classes)
        return join(layer.join, layer.first ? [label, h] : [h, label])
      }
      default: {
        const own = "path" in layer ? at(params, layer.path) : params
        const { y, running } = StackLayer.apply(layer, own, h, norm)
        if (running !== undefined && "path" in layer)
          for (const [name, value] of Object.entries(running)) statistics[`${layer.path}.${name}`] = value
        return y
      }
    }
  }
  return { y: stack.reduce(step, x), statistics }
}
