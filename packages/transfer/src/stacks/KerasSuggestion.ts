/** What differs in a suggestion of layers where Keras or TensorFlow has saved the weights. */
import type { Role, Shapes } from "../recognise/Shapes.ts"

type Line = Readonly<Record<string, unknown>>

const KIND = /^(?:.*\.)?(dense|conv2d_transpose|conv2d|\w*normalization)(?:_(\d+))?$/

/** Kinds in the order that networks of a role usually have. */
const ORDER: Readonly<Record<Role, readonly string[]>> = {
  generator: ["dense", "conv2d_transpose", "conv2d"],
  discriminator: ["conv2d", "conv2d_transpose", "dense"],
}

/** A guess of the order of layers that are named after their kinds alone: by kind and number, each norm after a layer of its size. */
export const ordered = (shapes: Shapes, role: Role): Shapes => {
  const layers = new Map<string, string[]>()
  for (const path of Object.keys(shapes)) {
    const layer = path.slice(0, path.lastIndexOf("."))
    layers.set(layer, [...(layers.get(layer) ?? []), path])
  }
  const parsed = [...layers.keys()].map((layer) => {
    const [, kind = "", number = "0"] = KIND.exec(layer) ?? []
    const sizes = (layers.get(layer) ?? []).flatMap((path) => shapes[path] ?? [])
    return { layer, kind, number: Number(number), sizes, isNorm: kind.endsWith("normalization") }
  })
  const rank = (kind: string): number => {
    const at = ORDER[role].indexOf(kind)
    return at < 0 ? ORDER[role].length : at
  }
  const norms = parsed.filter(({ isNorm }) => isNorm).toSorted((a, b) => a.number - b.number)
  const chain = parsed
    .filter(({ isNorm }) => !isNorm)
    .toSorted((a, b) => rank(a.kind) - rank(b.kind) || a.number - b.number)
    .flatMap((own) => {
      // outputs of a transposed convolution are its second axis
      const out = shapes[`${own.layer}.weight`]?.[own.kind === "conv2d_transpose" ? 1 : 0]
      const at = norms.findIndex(({ sizes }) => sizes[0] === out)
      return at < 0 ? [own] : [own, ...norms.splice(at, 1)]
    })
  return Object.fromEntries(
    [...chain, ...norms].flatMap(({ layer }) => (layers.get(layer) ?? []).map((path) => [path, shapes[path]!])),
  )
}

const number = (value: unknown): number => Number(String(value).replace("? ", ""))

/** Lines of a network: feature maps in the order (H, W, C), Keras' epsilon, padding as `same` does it. */
export const lines = (given: readonly Line[], shapes: Shapes): readonly Line[] =>
  given.flatMap((line): readonly Line[] => {
    const { kind, shape, path, pad, stride } = line
    const kernel = shapes[`${String(path)}.weight`]?.[2] ?? 0
    if (kind === "flatten") return [{ ...line, order: "hwc" }]
    if (kind === "view" && Array.isArray(shape) && shape[1] !== 1) return [{ ...line, order: "hwc" }]
    if (kind === "batchNorm") return [{ ...line, epsilon: "? 0.001" }]
    if (kernel % 2 === 0 || number(stride) !== 2) return [line]
    const half = number(pad)
    if (kind === "convTranspose") {
      const { outputPad: _, ...rest } = line
      return [
        { ...rest, pad: `? ${half - 1}` },
        { kind: "? crop", sides: [0, 0, 1, 1] },
      ]
    }
    return kind === "conv"
      ? [
          { kind: "? pad", sides: [half - 1, half - 1, half, half], mode: "zero" },
          { ...line, pad: "? 0" },
        ]
      : [line]
  })
