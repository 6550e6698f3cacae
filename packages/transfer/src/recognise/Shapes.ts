/** What recognition looks at, and how it says what does not fit. */
import type { Flat, Leaf } from "@adafm/core"

/** Shapes of one network's tensors by path, in the file's order. */
export type Shapes = Flat.Flat<readonly number[]>

export type Role = "generator" | "discriminator"

/** One tensor that stands against an architecture. */
export interface Misfit {
  readonly path: Flat.Path
  /** Absent where the architecture has no such tensor. */
  readonly expected?: readonly number[]
  /** Absent where the checkpoint has no such tensor. */
  readonly found?: readonly number[]
  readonly reason?: string
}

/** Counters that no architecture needs: of batch norms, and of `torch.optim.swa_utils.AveragedModel`. */
export const isIgnored = (path: Flat.Path): boolean => path.endsWith(".num_batches_tracked") || path === "n_averaged"

const same = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i])

/** Every difference between what an architecture needs and what a checkpoint has. */
export const compare = (leaves: Flat.Flat<Leaf.Leaf>, found: Shapes): readonly Misfit[] => {
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

export const describe = ({ path, expected, found, reason }: Misfit): string =>
  `${path}: ${
    reason ??
    (expected === undefined
      ? `[${found!.join(", ")}] has no place`
      : found === undefined
        ? `[${expected.join(", ")}] is missing`
        : `[${found.join(", ")}] instead of [${expected.join(", ")}]`)
  }`
