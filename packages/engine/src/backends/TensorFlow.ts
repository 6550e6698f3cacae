/**
 * Native TensorFlow through tfjs-node-gpu or tfjs-node. The packages are optional, because their installers download libtensorflow.
 * Release 4.22 calls a function that Node 23 removed, and its convolutions refuse numeric padding.
 */
import { existsSync, readdirSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import type { Engine } from "../Engine.ts"
import * as ComposedKernels from "./ComposedKernels.ts"
import * as Eager from "./Eager.ts"

const packages = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"] as const

export interface Unavailable {
  readonly reason: string
}

const resolve = (path: string): string | undefined => {
  try {
    return createRequire(import.meta.url).resolve(path)
  } catch {
    return undefined
  }
}

/** The package's folder, and whether its binary is there. Requiring the package without its binary registers half a backend and prints errors. */
const find = (name: string): { readonly folder: string; readonly isComplete: boolean } | undefined => {
  const manifest = resolve(`${name}/package.json`)
  if (manifest === undefined) return undefined
  const folder = dirname(manifest)
  const lib = join(folder, "lib")
  const binaries = existsSync(lib) ? readdirSync(lib).filter((entry) => entry.startsWith("napi-v")) : []
  return { folder, isComplete: binaries.some((entry) => existsSync(join(lib, entry, "tfjs_binding.node"))) }
}

/** The command that installs the package or downloads its binary from Google's servers. */
export const fix = (): string => {
  const installed = packages.map(find).find((found) => found !== undefined)
  return installed === undefined
    ? `npm install ${packages[0]}@4.22.0`
    : `npm --prefix "${installed.folder}" run install`
}

type Inputs = Parameters<ComposedKernels.Compose>[0]
type Four = [number, number, number, number]

/** A convolution kernel: the shapes of its images and filter, and how to compute it on images padded with `pad` zeros on each side. */
interface Convolution {
  readonly shapes: (inputs: Inputs, attrs: ComposedKernels.Attributes) => readonly [images: unknown, filter: unknown]
  readonly onPadded: (valid: ComposedKernels.Compose, pad: number) => ComposedKernels.Compose
}

const padded = (x: tf.Tensor, pad: number): tf.Tensor =>
  tf.pad(x, [
    [0, 0],
    [pad, pad],
    [pad, pad],
    [0, 0],
  ])

const convolutions: Readonly<Record<string, Convolution>> = {
  Conv2D: {
    shapes: ({ x, filter }) => [x!.shape, filter!.shape],
    onPadded:
      (valid, pad) =>
      ({ x, filter }, attrs) =>
        valid({ x: padded(x!, pad), filter: filter! }, attrs),
  },
  Conv2DBackpropFilter: {
    shapes: ({ x }, { filterShape }) => [x!.shape, filterShape],
    onPadded:
      (valid, pad) =>
      ({ x, dy }, attrs) =>
        valid({ x: padded(x!, pad), dy: dy! }, attrs),
  },
  Conv2DBackpropInput: {
    shapes: ({ filter }, { inputShape }) => [inputShape, filter!.shape],
    onPadded: (valid, pad) => (inputs, attrs) => {
      const inputShape = attrs.inputShape as Four
      const [batch, height, width, channels] = inputShape
      const larger = [batch, height + 2 * pad, width + 2 * pad, channels]
      return tf.slice(valid(inputs, { ...attrs, inputShape: larger }), [0, pad, pad, 0], inputShape)
    },
  },
}

let isComplete = false
/**
 * Computes numeric padding with the package's own kernels: as `same` if that adds the same zeros (libtensorflow's explicit padding
 * bypasses oneDNN and takes up to three times as long), otherwise on images that are padded with zeros first.
 */
const complete = (): void => {
  if (isComplete) return
  isComplete = true
  for (const [name, { shapes, onPadded }] of Object.entries(convolutions)) {
    const own = ComposedKernels.own("tensorflow", name)
    ComposedKernels.register("tensorflow", name, (inputs, attrs) => {
      const { strides, pad, dilations = 1, dimRoundingMode } = attrs as unknown as tf.Conv2DAttrs
      if (typeof pad !== "number" || pad === 0) return own(inputs, attrs)
      const [images, filter] = shapes(inputs, attrs) as [Four, Four]
      const info = tf.backend_util.computeConv2DInfo(images, filter, strides, dilations, pad, dimRoundingMode)
      const keepsSize = info.outHeight === info.inHeight && info.outWidth === info.inWidth
      if (keepsSize && info.strideHeight === 1 && info.strideWidth === 1) return own(inputs, { ...attrs, pad: "same" })
      return onPadded((x, a) => own(x, { ...a, pad: "valid" }), pad)(inputs, attrs)
    })
  }
}

export const create = async (): Promise<Engine | Unavailable> => {
  if (Number(process.versions.node.split(".")[0]) >= 23) {
    return { reason: "tfjs-node 4.22 needs Node 20 or 22 (it calls util.isNullOrUndefined, removed in Node 23)" }
  }
  const reasons: string[] = []
  for (const name of packages) {
    const found = find(name)
    if (found === undefined || !found.isComplete) {
      reasons.push(`${name} ${found === undefined ? "is not installed" : "has no binary"}`)
      continue
    }
    try {
      createRequire(import.meta.url)(name)
      tf.setBackend("tensorflow")
      complete()
      return Eager.engine("tensorflow", "tensorflow")
    } catch (thrown) {
      const [line] = String(thrown instanceof Error ? thrown.message : thrown).split("\n")
      reasons.push(`${name}: ${line}`)
    }
  }
  return { reason: reasons.join(", ") }
}
