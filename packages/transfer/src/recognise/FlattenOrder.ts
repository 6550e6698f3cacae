/**
 * TensorFlow flattens a feature map in the order (H, W, C), PyTorch in the order (C, H, W). So a linear layer next to a feature
 * map, and a batch norm between the two, store their numbers in another order.
 */
import { Flat } from "@adafm/core"
import type { Stack } from "@adafm/gan"

type Side = readonly [channels: number, height: number, width: number]

/** The axes of a parameter that index a flattened feature map, with the shape of the map. */
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
 * @param image the shape of the stack's input, where that is an image
 * @returns the parameters that have to be reordered, by path
 */
export const orders = (stack: Stack.Stack, image?: Side): Flat.Flat<Order> => {
  const found = Flat.empty<Order>()
  const mark = (path: string, names: readonly string[], order: Order): void => {
    for (const name of names) found[`${path}.${name}`] = { ...found[`${path}.${name}`], ...order }
  }
  const norm = ["weight", "bias", "running_mean", "running_var"]
  /** The feature map of the current activations: known from the `flatten` before them or the `view` after them. */
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
