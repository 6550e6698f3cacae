/** The layers that a person wrote down, with the tensors of a file. */
import type { Checkpoint } from "@adafm/checkpoint"
import { Failure, type Flat } from "@adafm/core"
import { Stack, StackShape } from "@adafm/gan"
import * as EffectiveWeights from "../recognise/EffectiveWeights.ts"
import * as Recognise from "../recognise/Recognise.ts"
import { isIgnored } from "../recognise/Shapes.ts"
import * as LayersFile from "./LayersFile.ts"
import type * as StackReading from "./StackReading.ts"

type Parameters = Flat.Flat<Recognise.Parameter>

/** Fills in what the weights tell: channels, kernels and biases. */
const completed = (value: LayersFile.Said[number], parameters: Parameters, place: string): Stack.Layer => {
  const nested = (list: unknown): unknown =>
    Array.isArray(list) ? list.map((v: LayersFile.Said[number], i) => completed(v, parameters, `${place}.${i}`)) : list
  if ("branches" in value)
    return LayersFile.layer(
      { ...value, branches: Array.isArray(value.branches) ? value.branches.map(nested) : [] },
      place,
    )
  if ("layers" in value) return LayersFile.layer({ ...value, layers: nested(value.layers) }, place)
  const { path, kind } = value
  if (typeof path !== "string") return LayersFile.layer(value, place)
  const shape = parameters[`${path}.weight`]?.shape
  if (shape === undefined) return LayersFile.layer(value, place)
  const bias = parameters[`${path}.bias`] !== undefined
  const [a, b, k] = shape as readonly [number, number, number]
  const told: Readonly<Record<string, object>> = {
    conv: { in: b, out: a, kernel: k, bias },
    convTranspose: { in: a, out: b, kernel: k, bias },
    linear: { in: b, out: a, bias },
    batchNorm: { channels: a },
    instanceNorm: { channels: a },
    groupNorm: { channels: a },
    layerNorm: { shape: [...shape] },
    prelu: { channels: a },
    scaleShift: { channels: a, bias },
    embedding: { classes: a, width: b },
  }
  return LayersFile.layer({ ...told[kind], ...value }, place)
}

/** The tensors that the layers name, or which do not fit. */
const missing = (leaves: ReturnType<typeof Stack.spec>, parameters: Parameters): readonly string[] =>
  Object.entries(leaves).flatMap(([path, { shape }]) => {
    const found = parameters[path]?.shape
    if (found === undefined) return [`${path} [${shape.join(", ")}] is missing`]
    return found.join() === shape.join() ? [] : [`${path} is [${found.join(", ")}] instead of [${shape.join(", ")}]`]
  })

export interface Said {
  readonly reading: StackReading.StackReading
  readonly root: string
  /** Whether the keys say that it is a moving average. */
  readonly isAverage: boolean
}

/** Which network of a file is meant: the one with these keys, or the moving average. */
export interface Place {
  readonly at?: string
  readonly ema: boolean
}

const isAverage = ({ kind }: Recognise.Network): boolean => kind === "generator_ema" || kind === "ema"

/** The networks that may be meant, the likeliest first. */
const candidates = (
  checkpoint: Checkpoint.Checkpoint,
  role: Recognise.Role,
  { at, ema }: Place,
): readonly Recognise.Network[] => {
  const all = Recognise.list(checkpoint)
  const root = at?.replace(/^\/+|\/+$/g, "")
  if (root !== undefined) return all.filter((network) => network.root === root)
  if (ema) return all.filter(isAverage)
  return all
    .filter(({ kind }) => kind === role || kind === "other" || (role === "generator" && kind === "generator_ema"))
    .toSorted((a, b) => Number(b.kind === role) - Number(a.kind === role))
}

/**
 * @param isChosen the file was given for this network, so that what does not fit is an error
 * @param image what the generator makes, where that is known
 * @returns undefined where no network of the file has these tensors
 */
export const read = (
  checkpoint: Checkpoint.Checkpoint,
  role: Recognise.Role,
  description: LayersFile.Description,
  isChosen: boolean,
  image: StackReading.Image | undefined,
  place: Place,
): Said | undefined => {
  const tries = candidates(checkpoint, role, place).map((network) => {
    const parameters = EffectiveWeights.of(network)
    const layers = description[role]!.map((value, i) => completed(value, parameters, `${role}.${i}`))
    const problems = missing(Stack.spec(layers), parameters)
    return { network, parameters, layers, problems }
  })
  const fitting = tries.find(({ problems }) => problems.length === 0)
  const nearest = tries.toSorted((a, b) => a.problems.length - b.problems.length)[0]
  if (fitting === undefined) {
    if (!isChosen && tries.length !== 1) return undefined
    return Failure.raise(
      "UnknownArchitecture",
      `the layers of ${role} do not fit the tensors: ${(nearest?.problems ?? ["there is no network"]).slice(0, 6).join("; ")}`,
      { file: checkpoint.file },
    )
  }
  const { network, parameters, layers } = fitting
  const left = Object.keys(parameters).filter((path) => !isIgnored(path) && !(path in Stack.spec(layers)))
  if (left.length > 0)
    return Failure.raise(
      "UnknownArchitecture",
      `the layers of ${role} use no ${left.slice(0, 6).join(", ")}: every tensor of the network must have its layer`,
      { file: checkpoint.file, path: left[0]! },
    )
  const input = inputOf(layers, role, description, image)
  const shape = StackShape.of(layers, input)
  if ("misfit" in shape) {
    const at = "path" in shape.misfit.layer ? ` ${shape.misfit.layer.path}` : ""
    return Failure.raise(
      "UnknownArchitecture",
      `the layer ${shape.misfit.layer.kind}${at} of ${role} ${shape.misfit.message}`,
    )
  }
  const reading = { layers, input, output: shape.ok, parameters, assumptions: [] }
  return { reading, root: network.root, isAverage: isAverage(network) }
}

const inputOf = (
  layers: readonly Stack.Layer[],
  role: Recognise.Role,
  { image }: LayersFile.Description,
  made: StackReading.Image | undefined,
): StackShape.Shape => {
  const given = image ?? made
  if (role === "discriminator")
    return (
      given ??
      Failure.raise("BadConfig", "image is missing: the discriminator's input, [channels, height, width]", {
        path: "image",
      })
    )
  const first = [...Stack.walk(layers)].find((l) => "in" in l || l.kind === "view")
  if (first?.kind === "view") return [first.shape.reduce((n, d) => n * d, 1)]
  return first !== undefined && "in" in first
    ? [first.in]
    : Failure.raise("BadConfig", "the generator has no layer with weights", { path: "generator" })
}
