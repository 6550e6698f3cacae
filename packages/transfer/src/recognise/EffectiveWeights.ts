/**
 * The weights that a network computes with, where its file holds others: spectral norm (`weight_orig`, `weight_u`, `weight_v`, or
 * `parametrizations.weight`) and weight norm (`weight_g`, `weight_v`, or `parametrizations.weight.original0`, `original1`). They
 * are computed once, on import; training goes on with plain weights.
 * https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.spectral_norm.html
 */
import type { Checkpoint } from "@adafm/checkpoint"
import { Failure, Flat, NdArray } from "@adafm/core"
import type * as Parameter from "./Parameter.ts"
import type * as ParameterNames from "./ParameterNames.ts"

type Float64 = NdArray.NdArray<"float64">
type Parameters = Flat.Flat<Parameter.Parameter>

interface Names {
  readonly kind: "spectral" | "weight"
  /** Weight, u, v of spectral norm; g and v of weight norm. */
  readonly parts: readonly string[]
}

/** The names of one parametrised weight, by the end of the path of its first part. */
const forms: readonly (readonly [end: string, Names])[] = [
  ["weight_orig", { kind: "spectral", parts: ["weight_orig", "weight_u", "weight_v"] }],
  [
    "parametrizations.weight.original",
    {
      kind: "spectral",
      parts: ["parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v"],
    },
  ],
  ["weight_g", { kind: "weight", parts: ["weight_g", "weight_v"] }],
  [
    "parametrizations.weight.original0",
    { kind: "weight", parts: ["parametrizations.weight.original0", "parametrizations.weight.original1"] },
  ],
  // TensorFlow-like implementations of PyTorch (christiancosgrove's): the layer is wrapped
  ["module.weight_bar", { kind: "spectral", parts: ["module.weight_bar", "module.weight_u", "module.weight_v"] }],
]

/** The filter as a matrix: rows along the axis that u counts. */
const rowsOf = (weight: Float64, axis: number): Float64 => {
  const order = [axis, ...weight.shape.map((_, k) => k).filter((k) => k !== axis)]
  const moved = axis === 0 ? weight : NdArray.permute(weight, order)
  const rows = moved.shape[0]!
  return NdArray.reshape(moved, [rows, moved.data.length / rows])
}

/** `uᵀ W v`, PyTorch's estimate of the largest singular value. */
const sigma = (matrix: Float64, u: Float64, v: Float64): number => {
  const [rows, columns] = matrix.shape as [number, number]
  let sum = 0
  for (let i = 0; i < rows; i++) {
    let row = 0
    for (let j = 0; j < columns; j++) row += matrix.data[i * columns + j]! * v.data[j]!
    sum += row * u.data[i]!
  }
  return sum
}

const spectral = (weight: Float64, u: Float64, v: Float64, path: string): Float64 => {
  // transposed convolutions count their outputs along the second axis
  const axis = [0, 1].find(
    (k) => weight.shape[k] === u.data.length && weight.data.length / weight.shape[k]! === v.data.length,
  )
  if (axis === undefined)
    return Failure.raise(
      "BadTensor",
      `u [${u.data.length}] and v [${v.data.length}] do not fit [${weight.shape.join(", ")}]`,
      { path },
    )
  const by = sigma(rowsOf(weight, axis), u, v)
  return NdArray.make(
    "float64",
    weight.shape,
    weight.data.map((w) => w / by),
  )
}

/** `g · v / ‖v‖`, the norm over all axes but the one that g counts. */
const weighted = (g: Float64, v: Float64): Float64 => {
  const axis = g.shape.findIndex((n, k) => n > 1 && n === v.shape[k])
  const at = Math.max(0, axis)
  const inner = v.shape.slice(at + 1).reduce((n, d) => n * d, 1)
  const size = v.shape[at]!
  const squares = new Float64Array(size)
  const place = (i: number): number => Math.floor(i / inner) % size
  for (const [i, value] of v.data.entries()) squares[place(i)]! += value * value
  return NdArray.make(
    "float64",
    v.shape,
    v.data.map((value, i) => (g.data[place(i) % g.data.length]! * value) / Math.sqrt(squares[place(i)]!)),
  )
}

/** The parameters of a network with plain weights in place of parametrised ones. */
export const of = ({
  parameters,
  checkpoint,
}: Pick<ParameterNames.Network, "parameters"> & {
  readonly checkpoint: Pick<Checkpoint.Checkpoint, "read">
}): Parameters => {
  const made: Record<string, Parameter.Parameter> = {}
  const gone = new Set<string>()
  const numbers = (path: string): Float64 => NdArray.toFloat64(checkpoint.read(parameters[path]!.from))
  for (const path of Object.keys(parameters))
    for (const [end, { kind, parts }] of forms) {
      if (path !== end && !path.endsWith(`.${end}`)) continue
      const layer = path.slice(0, path.length - end.length)
      const own = parts.map((part) => layer + part)
      if (own.some((p) => parameters[p] === undefined)) continue
      for (const p of own) gone.add(p)
      const [first, second, third] = own as [string, string, string]
      const weight = kind === "spectral" ? first : second
      // the wrapped layer keeps its bias under `module`
      const plain = end.startsWith("module.") ? `${layer}module.weight` : `${layer}weight`
      made[plain] = {
        from: parameters[weight]!.from,
        shape: parameters[weight]!.shape,
        compute: () =>
          NdArray.toFloat32(
            kind === "spectral"
              ? spectral(numbers(first), numbers(second), numbers(third), parameters[weight]!.from)
              : weighted(numbers(first), numbers(second)),
          ),
      }
      // PyTorch wrote σ's helper of old versions too
      gone.add(`${layer}weight_orig_norm`)
    }
  return Flat.fromEntries(
    Object.entries(parameters).flatMap(([path, parameter]): [string, Parameter.Parameter][] => {
      const weight = Object.keys(made).find((plain) => firstPartOf(plain, path, gone))
      if (weight !== undefined && made[weight] !== undefined) {
        const own = made[weight]
        delete made[weight]
        return [[weight, own]]
      }
      return gone.has(path) ? [] : [[path, parameter]]
    }),
  )
}

/** Whether a path is the first of the tensors that a plain weight replaces, so that the order of layers stays. */
const firstPartOf = (plain: string, path: string, gone: ReadonlySet<string>): boolean => {
  const layer = plain.slice(0, -"weight".length).replace(/module\.$/, "")
  return (
    gone.has(path) &&
    path.startsWith(layer) &&
    forms.some(([, { parts }]) => parts.some((part) => path === layer + part))
  )
}

/** Whether weights of a network that `of` made are computed from others. */
export const isFolded = ({ parameters }: { readonly parameters: Parameters }): boolean =>
  Object.values(parameters).some(({ compute }) => compute !== undefined)
