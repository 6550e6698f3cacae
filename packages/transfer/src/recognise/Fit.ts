/** How the shapes of one or both networks fit an architecture, and which tensors do not. */
import type { Flat, Leaf } from "@adafm/core"
import type { Gan, Step } from "@adafm/gan"
import { isIgnored, type Networks, type Role, type Shapes } from "./Shapes.ts"

/** One tensor that does not fit an architecture. */
export interface Misfit {
  readonly path: Flat.Path
  /** Absent where the architecture has no such tensor. */
  readonly expected?: readonly number[]
  /** Absent where the checkpoint has no such tensor. */
  readonly found?: readonly number[]
  readonly reason?: string
}

interface Found {
  /** The published implementation that uses these names. */
  readonly layout?: string
  /** The modulation of the generator's filters, where the checkpoint holds γ and β. */
  readonly modulation?: Step.Modulation
  /** What names and shapes do not show. */
  readonly assumptions?: readonly string[]
}

export interface Known extends Found {
  readonly _tag: "Known"
  readonly config: Gan.Config
}

/** One network fits an architecture, and the other is not given. A generator determines the whole configuration. */
export interface Half extends Found {
  readonly _tag: "Half"
  readonly architecture: Gan.Config["architecture"]
  readonly role: Role
  readonly config?: Gan.Config
}

export interface Unknown {
  readonly _tag: "Unknown"
  readonly nearest?: Gan.Config["architecture"]
  readonly misfits: readonly (Misfit & { readonly network: Role })[]
}

export type Fit = Known | Half | Unknown

export const unknown = (
  nearest: Gan.Config["architecture"],
  misfits: Partial<Record<Role, readonly Misfit[]>>,
): Unknown => ({
  _tag: "Unknown",
  nearest,
  misfits: (["generator", "discriminator"] as const).flatMap((network) =>
    (misfits[network] ?? []).map((misfit) => ({ network, ...misfit })),
  ),
})

const same = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i])

/** Every difference between the tensors that an architecture needs and those of a checkpoint. */
const compare = (leaves: Flat.Flat<Leaf.Leaf>, found: Shapes): readonly Misfit[] => {
  const paths = new Set([...Object.keys(leaves), ...Object.keys(found).filter((path) => !isIgnored(path))])
  return [...paths].flatMap((path): readonly Misfit[] => {
    const expected = leaves[path]?.shape
    const actual = found[path]
    if (expected !== undefined && actual !== undefined && same(expected, actual)) return []
    return [
      {
        path,
        ...(expected !== undefined && { expected }),
        ...(actual !== undefined && { found: actual }),
      },
    ]
  })
}

/** Compares the tensors of a checkpoint with those that a configuration needs. */
export const check = (
  config: Gan.Config,
  spec: Record<Role, Flat.Flat<Leaf.Leaf>>,
  { generator, discriminator }: Networks,
): Known | Unknown => {
  const misfits = {
    generator: generator === undefined ? [] : compare(spec.generator, generator),
    discriminator: discriminator === undefined ? [] : compare(spec.discriminator, discriminator),
  }
  return misfits.generator.length + misfits.discriminator.length > 0
    ? unknown(config.architecture, misfits)
    : { _tag: "Known", config }
}

const describe = ({ path, expected, found, reason }: Misfit): string =>
  `${path}: ${
    reason ??
    (expected === undefined
      ? `[${found!.join(", ")}] is not expected`
      : found === undefined
        ? `[${expected.join(", ")}] is missing`
        : `[${found.join(", ")}] instead of [${expected.join(", ")}]`)
  }`

/** The nearest architecture and the tensors that do not fit it, for messages. */
export const explain = ({ nearest, misfits }: Unknown): string => {
  const shown = misfits.slice(0, 8).map((m) => `${m.network}/${describe(m)}`)
  const more = misfits.length > 8 ? `; and ${misfits.length - 8} more` : ""
  return [
    "the tensors fit no known architecture",
    ...(nearest === undefined ? [] : [`the nearest is ${nearest}`]),
    ...(shown.length === 0 ? [] : [`what does not fit: ${shown.join("; ")}${more}`]),
  ].join("; ")
}
