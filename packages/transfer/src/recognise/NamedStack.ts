/** Plain stacks of a file without a graph, next to a network with one: by names and shapes, as far as these tell. */
import type { Checkpoint } from "@adafm/checkpoint"
import { Failure, Flat } from "@adafm/core"
import { Stack as Layers, StackShape } from "@adafm/gan"
import type * as StackReading from "../stacks/StackReading.ts"
import * as Stack from "./architectures/Stack.ts"
import * as FlattenOrder from "./FlattenOrder.ts"
import * as KerasDefaults from "./KerasDefaults.ts"
import * as LayerOrder from "./LayerOrder.ts"
import * as ParameterNames from "./ParameterNames.ts"
import * as Recognise from "./Recognise.ts"
import { isIgnored } from "./Shapes.ts"
import * as StackLayouts from "./StackLayouts.ts"

export interface Read {
  readonly role: Recognise.Role
  readonly root: string
  readonly reading: StackReading.StackReading
}

/**
 * @param needs whether a network of this role is still needed
 * @param image what the generator makes, if another file says it
 */
export const read = (
  checkpoint: Checkpoint.Checkpoint,
  wanted: Recognise.Role | undefined,
  needs: (role: Recognise.Role) => boolean,
  image: StackReading.Image | undefined,
): readonly Read[] =>
  Recognise.list(checkpoint).flatMap((network): readonly Read[] => {
    const { kind, root, parameters } = network
    const role = wanted ?? (kind === "generator" || kind === "discriminator" ? kind : undefined)
    if (role === undefined || !needs(role) || (kind !== role && kind !== "other")) return []
    const shapes = Object.fromEntries(
      Object.entries(ParameterNames.shapes(network)).filter(([path]) => !isIgnored(path)),
    )
    const layout = StackLayouts.find(
      role === "generator" ? shapes : undefined,
      role === "discriminator" ? shapes : undefined,
    )
    const found = Stack.read(shapes, role, layout, image?.[1])
    if ("misfits" in found)
      return Failure.raise(
        "UnknownArchitecture",
        found.misfits.map((m) => `${role}/${m.path}: ${m.reason}`).join("; "),
        {
          file: checkpoint.file,
        },
      )
    const isKeras = KerasDefaults.isKeras(checkpoint)
    if (KerasDefaults.isNamedByKind(checkpoint)) return KerasDefaults.refuseOrder(checkpoint)
    if (checkpoint.isSorted) LayerOrder.check(shapes, checkpoint)
    const layers = found.ok.layers
      .map((l) => Layers.Layer.parse(l))
      .map((l) => (isKeras ? KerasDefaults.layer(l, checkpoint.file) : l))
    const orders = isKeras
      ? FlattenOrder.orders(layers, role === "discriminator" ? image : undefined)
      : Flat.empty<FlattenOrder.Order>()
    const own = Flat.map(parameters, (p, path) => {
      const flattened = orders[path]
      return flattened === undefined ? p : { ...p, flattened }
    })
    const input: StackShape.Shape = role === "generator" ? [found.ok.latent!] : (image ?? [1, 1, 1])
    const shape = StackShape.of(layers, input)
    if ("misfit" in shape) return Failure.raise("UnknownArchitecture", shape.misfit.message, { file: checkpoint.file })
    return [
      { role, root, reading: { layers, input, output: shape.ok, parameters: own, assumptions: found.ok.assumptions } },
    ]
  })
