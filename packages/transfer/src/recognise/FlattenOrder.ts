/**
 * TensorFlow flattens a feature map as (H, W, C), PyTorch as (C, H, W): a linear layer beside a feature map, and a batch norm
 * between the two, have their numbers in another order.
 */
import { Flat } from "@adafm/core"
import type { Stack } from "@adafm/gan"

type Side = readonly [channels: number, height: number, width: number]

/** The axes of a parameter that count the numbers of a feature map, each with the map. */
export interface Order {
  readonly rows?: Side
  readonly columns?: Side
}

const after = (layer: Stack.Layer, [c, h, w]: Side): Side => {
  switch (layer.kind) {
    case "conv": {
      const size = (n: number): number => Math.floor((n + 2 * layer.pad - layer.kernel) / layer.stride) + 1
      return [layer.out, size(h), size(w)]
    }
    case "convTranspose": {
      const size = (n: number): number => (n - 1) * layer.stride - 2 * layer.pad + layer.kernel
      return [layer.out, size(h), size(w)]
    }
    case "upsample2":
      return [c, 2 * h, 2 * w]
    case "avgPool2":
      return [c, h / 2, w / 2]
    default:
      return [c, h, w]
  }
}

/**
 * @param image what goes into the stack, where that is an image
 * @returns the parameters that have to be reordered, by path
 */
export const orders = (stack: Stack.Stack, image?: Side): Flat.Flat<Order> => {
  const found = Flat.empty<Order>()
  const mark = (path: string, names: readonly string[], order: Order): void => {
    for (const name of names) found[`${path}.${name}`] = { ...found[`${path}.${name}`], ...order }
  }
  const norm = ["weight", "bias", "running_mean", "running_var"]
  /** The feature map that the numbers at hand are: known from the `flatten` before or the `view` behind them. */
  let map: Side | undefined = image
  let flat = false
  for (const [i, layer] of stack.entries()) {
    if (layer.kind === "flatten") flat = true
    else if (layer.kind === "view") [map, flat] = [layer.shape, false]
    else if (layer.kind === "linear") {
      if (flat && map !== undefined) mark(layer.path, ["weight"], { columns: map })
      const next = stack.slice(i + 1).find(({ kind }) => kind === "linear" || kind === "view")
      map = next?.kind === "view" ? next.shape : undefined
      flat = true
      if (map !== undefined) mark(layer.path, ["weight", "bias"], { rows: map })
    } else if (layer.kind === "batchNorm" && flat && map !== undefined) mark(layer.path, norm, { rows: map })
    else if (!flat && map !== undefined) map = after(layer, map)
  }
  return found
}
