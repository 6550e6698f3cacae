/**
 * The specification of one parameter: its shape and its initial values. A network's spec is a `Flat<Leaf>`; parameter counts,
 * checks against checkpoints and initial values follow from it without building a network.
 */
import * as Flat from "../Flat.ts"
import * as NdArray from "../NdArray.ts"
import * as Rng from "../Rng.ts"

export type Init =
  | { readonly kind: "constant"; readonly value: number }
  /** Half-open interval `[-bound, bound)`. */
  | { readonly kind: "uniform"; readonly bound: number }
  | { readonly kind: "normal"; readonly mean: number; readonly deviation: number }
  /** The first half of the entries is 1, the second half 0: scales and shifts of a style. */
  | { readonly kind: "scale-and-shift" }

export interface Leaf {
  /** In the file's layout: OIHW, `[in, out, kh, kw]`, `[out, in]`. */
  readonly shape: readonly number[]
  readonly init: Init
  /** A statistic (batch norm's running mean and variance) is state without a gradient. */
  readonly role: "parameter" | "statistic"
}

export const make = (shape: readonly number[], init: Init): Leaf => ({ shape, init, role: "parameter" })

export const constant = (shape: readonly number[], value: number): Leaf => make(shape, { kind: "constant", value })
export const normal = (shape: readonly number[], mean = 0, deviation = 1): Leaf =>
  make(shape, { kind: "normal", mean, deviation })

/** PyTorch's default for convolutions and linear layers, `kaiming_uniform(a = √5)`: weight and bias uniform in ±1/√fan_in. */
export const fan = (shape: readonly number[], fanIn: number): Leaf =>
  make(shape, { kind: "uniform", bound: 1 / Math.sqrt(fanIn) })

export const statistic = (shape: readonly number[], value: number): Leaf => ({
  ...constant(shape, value),
  role: "statistic",
})

/** Initial values of the parameter at `path`. They depend on seed and path only, so adding a layer never changes another one. */
export const init =
  (seed: number) =>
  ({ shape, init }: Leaf, path: Flat.Path): NdArray.NdArray<"float32"> => {
    const key = Rng.at(seed, `init/${path}`)
    switch (init.kind) {
      case "constant":
        return NdArray.float32(shape, new Float32Array(NdArray.sizeOf(shape)).fill(init.value))
      case "uniform":
        return Rng.uniform(key, shape, -init.bound, init.bound)
      case "normal":
        return Rng.normal(key, shape, init.mean, init.deviation)
      case "scale-and-shift": {
        const size = NdArray.sizeOf(shape)
        return NdArray.float32(
          shape,
          Float32Array.from({ length: size }, (_, i) => (i < size / 2 ? 1 : 0)),
        )
      }
    }
  }

/** Initial values of a whole network, in the file's layout. `name` (`generator`, …) gives each network its own random streams. */
export const initAll = (leaves: Flat.Flat<Leaf>, seed: number, name: string): Flat.Flat<NdArray.NdArray<"float32">> =>
  Flat.map(leaves, (leaf, path) => init(seed)(leaf, `${name}/${path}`))

/** Number of trainable numbers; statistics do not count. */
export const count = (leaves: Flat.Flat<Leaf>): number =>
  Object.values(leaves)
    .filter(({ role }) => role === "parameter")
    .reduce((sum, { shape }) => sum + NdArray.sizeOf(shape), 0)

export const isLeaf = (node: unknown): node is Leaf =>
  typeof node === "object" && node !== null && "init" in node && Array.isArray((node as Leaf).shape)

/** A nested spec as a record keyed by path. */
export const flatten = (tree: object): Flat.Flat<Leaf> => Flat.flatten<Leaf>(tree as Flat.Tree<Leaf>, isLeaf)
