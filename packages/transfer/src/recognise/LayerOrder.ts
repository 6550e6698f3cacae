/**
 * The order of layers in formats that do not keep it: safetensors sorts tensors by name, and ONNX initializers come in the
 * exporter's order. Numbers in the names give the order (`main.2` before `main.10`); words do not.
 */

import type { Checkpoint } from "@adafm/checkpoint"
import { Failure, type Flat } from "@adafm/core"
import type { Shapes } from "./Shapes.ts"

const parts = (path: Flat.Path): readonly string[] => path.split(/(\d+)/)

/** The first difference of two paths: a number, or only words. */
const difference = (
  x: readonly string[],
  y: readonly string[],
): { readonly sign: number; readonly byNumber: boolean } => {
  const at = x.findIndex((part, i) => part !== y[i])
  if (at < 0) return { sign: x.length - y.length, byNumber: false }
  const [p, q = ""] = [x[at]!, y[at]]
  const byNumber = at % 2 === 1 && q !== ""
  return { sign: byNumber ? Number(p) - Number(q) : p < q ? -1 : 1, byNumber }
}

/** Sorts by path, numbers by value. */
export const sort = <A extends { readonly path: Flat.Path }>(entries: readonly A[]): readonly A[] =>
  entries
    .map((entry) => ({ entry, parts: parts(entry.path) }))
    .sort((a, b) => difference(a.parts, b.parts).sign)
    .map(({ entry }) => entry)

/** Whether either of two layers could come first: equal shapes, or a layer with as many inputs as outputs and its normalisation. */
const isExchangeable = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length
    ? a.length > 1 && a.every((d, i) => d === b[i])
    : a.length > b.length
      ? b.length === 1 && a[0] === a[1] && a[0] === b[0]
      : isExchangeable(b, a)

/** Raises where neither numbers nor shapes show which of two layers comes first. */
export const check = (
  shapes: Shapes,
  { file, format }: { readonly file: string; readonly format: Checkpoint.Format },
): void => {
  const weights = Object.entries(shapes).filter(([path]) => path.endsWith("weight"))
  for (const [i, [a, shape]] of weights.entries())
    for (const [b, other] of weights.slice(i + 1))
      if (isExchangeable(shape, other) && !difference(parts(a), parts(b)).byNumber)
        Failure.raise(
          "UnknownOrder",
          `${a} and ${b} could each come first: ${format} does not keep the order of layers, and neither their names nor their shapes show it; import the file that torch.save wrote`,
          { file, path: a },
        )
}
