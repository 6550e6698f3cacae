/**
 * What `inspect --suggest` writes: a file for `import --layers` with what the weights tell, and question marks where they do not:
 * activations, strides, upsamplings, the end. A person removes the marks; a file that still has some is refused.
 */
import type { Checkpoint } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"
import * as Stack from "../recognise/architectures/Stack.ts"
import * as KerasDefaults from "../recognise/KerasDefaults.ts"
import * as ParameterNames from "../recognise/ParameterNames.ts"
import * as PublishedGans from "../recognise/PublishedGans.ts"
import * as Recognise from "../recognise/Recognise.ts"
import { isIgnored, type Role, type Shapes } from "../recognise/Shapes.ts"
import * as GraphNetwork from "./GraphNetwork.ts"
import * as KerasSuggestion from "./KerasSuggestion.ts"
import * as StackModel from "./StackModel.ts"

type Line = Readonly<Record<string, unknown>>

/** A guess. */
const maybe = (value: unknown): string => `? ${String(value)}`

/** Strides and padding that kernels of this size usually have. */
const usual = (kind: "conv" | "convTranspose", kernel: number, role: Role, isFirst: boolean): Line => {
  if (kind === "convTranspose") {
    if (isFirst) return { stride: 1, pad: maybe(0) }
    return {
      stride: maybe(2),
      pad: maybe(kernel % 2 === 0 ? kernel / 2 - 1 : (kernel - 1) / 2),
      ...(kernel % 2 === 1 && { outputPad: maybe(1) }),
    }
  }
  const half = kernel % 2 === 1 ? (kernel - 1) / 2 : Math.max(0, kernel / 2 - 1)
  return { stride: maybe(role === "generator" ? 1 : 2), pad: maybe(half) }
}

const square = (n: number): number | undefined => (Number.isInteger(Math.sqrt(n)) ? Math.sqrt(n) : undefined)

const linesOf = (shapes: Shapes, role: Role): readonly Line[] => {
  const parsed = Stack.weighted(shapes, role)
  if (!("length" in parsed))
    return Failure.raise(
      "UnknownArchitecture",
      `${role}/${parsed.path}: ${parsed.reason ?? "is no layer of a stack"}`,
      { path: parsed.path },
    )
  const activation = maybe(role === "generator" ? "relu" : "leakyRelu")
  const lines: Line[] = []
  let isVector = role === "generator"
  let channels = 0
  const [begin] = parsed
  if (role === "discriminator" && begin?.kind === "linear") {
    lines.push({ kind: "flatten" })
    isVector = true
  }
  for (const [i, layer] of parsed.entries()) {
    const next = parsed[i + 1]
    if (layer.kind === "batchNorm") lines.push({ kind: "batchNorm", path: layer.path })
    else if (layer.kind === "linear") {
      if (!isVector) lines.push({ kind: "flatten" })
      isVector = true
      lines.push({ kind: "linear", path: layer.path })
      channels = layer.out
    } else {
      if (isVector) {
        const side = i === 0 ? 1 : square(channels / layer.in)
        lines.push({
          kind: "view",
          shape: i === 0 ? [layer.in, 1, 1] : [layer.in, side ?? maybe("height"), side ?? maybe("width")],
        })
      }
      lines.push({ kind: layer.kind, path: layer.path, ...usual(layer.kind, layer.kernel, role, i === 0) })
      isVector = false
      channels = layer.out
    }
    if (next === undefined) continue
    const free = Stack.room(layer.path, next.path)
    const isUnpaired = next.kind !== "batchNorm" || (free !== undefined && free > 0)
    if (isUnpaired && free !== 0) lines.push({ kind: activation })
    const spare =
      (free ?? 1) - 1 - Number(next.kind === "linear" && !isVector) - Number(next.kind !== "linear" && isVector)
    if (spare > 0 && next.kind === "conv") lines.push({ kind: maybe(role === "generator" ? "upsample2" : "avgPool2") })
  }
  if (role === "generator") lines.push({ kind: maybe("tanh") })
  return lines
}

/** A value in YAML's flow style. */
const flow = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`
  if (typeof value === "object" && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, inner]) => `${key}: ${flow(inner)}`)
      .join(", ")} }`
  const isPlain =
    typeof value === "string" &&
    /^[A-Za-z][\w.-]*$/.test(value) &&
    !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value)
  return isPlain ? value : JSON.stringify(value)
}

/** One line a layer. */
const text = (description: Readonly<Record<string, unknown>>): string =>
  Object.entries(description)
    .map(([key, value]) =>
      key === "generator" || key === "discriminator"
        ? `${key}:\n${(value as readonly unknown[]).map((layer) => `  - ${flow(layer)}\n`).join("")}`
        : `${key}: ${flow(value)}\n`,
    )
    .join("")

const HEAD = `# Layers for \`adafm import FILE --layers THIS.yaml --out MODEL\`. What follows a question mark is a guess: the weights do not
# show it. Write what the network's source says and remove the question marks, or leave a layer out that is not there.
# Kinds of layers: docs/checkpoints.md
`

export interface Suggestion {
  readonly text: string
  /** Whether a graph says all of it, so that nothing is guessed. */
  readonly isSure: boolean
}

/** @throws where a network has a layer that no stack can contain */
export const of = (checkpoint: Checkpoint.Checkpoint): Suggestion => {
  if (GraphNetwork.has(checkpoint)) {
    const { role, layers, config } = StackModel.inspect(checkpoint)
    return { text: text({ ...(config !== null && { image: config.image }), [role]: layers }), isSure: true }
  }
  const published = PublishedGans.find(Object.keys(checkpoint.tensors))
  if (published !== undefined)
    return Failure.raise("UnknownArchitecture", PublishedGans.explain(published), { file: checkpoint.file })
  const networks = Recognise.list(checkpoint)
  const found: Record<string, unknown> = {}
  for (const network of networks) {
    const shapes = Object.fromEntries(
      Object.entries(ParameterNames.shapes(network)).filter(([path]) => !isIgnored(path)),
    )
    if (!Object.values(shapes).some(({ length }) => length >= 2)) continue
    const alone = network.alone()
    const role: Role =
      network.kind === "generator" || network.kind === "discriminator"
        ? network.kind
        : alone._tag === "Half"
          ? alone.role
          : likelyRole(shapes)
    const chain = KerasDefaults.isNamedByKind(checkpoint) ? KerasSuggestion.ordered(shapes, role) : shapes
    const lines = linesOf(chain, role)
    found[role] ??= KerasDefaults.isKeras(checkpoint) ? KerasSuggestion.lines(lines, shapes) : lines
  }
  if (found.generator === undefined && found.discriminator === undefined)
    return Failure.raise("NoNetwork", "there is no weight of a layer", { file: checkpoint.file })
  const { generator, discriminator } = found
  const head = generator === undefined ? { image: ["? channels", "? height", "? width"] } : { latent: maybe("normal") }
  const described = {
    ...(generator !== undefined && { generator }),
    ...(discriminator !== undefined && { discriminator }),
  }
  return { text: HEAD + text({ ...head, ...described }), isSure: false }
}

/** A network that ends in one number judges images. */
const likelyRole = (shapes: Shapes): Role => {
  const last = Object.values(shapes).findLast(({ length }) => length >= 2)
  return last !== undefined && last[0] === 1 && last.length === 2
    ? "discriminator"
    : last?.[0] === 1 && (last[1] ?? 0) > 4
      ? "discriminator"
      : "generator"
}
