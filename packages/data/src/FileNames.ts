/** Names of the files of an image set: their order, and which of them count. */

/** What is not listed, and why: `a link to a device`. */
export interface LeftOut {
  readonly name: string
  readonly reason: string
}

const SURROGATE = /[\ud800-\udfff]/

/** The order of the code points, which is that of their UTF-8 bytes. */
const byPoints = (a: string, b: string): number => {
  const [left, right] = [Array.from(a, (c) => c.codePointAt(0)!), Array.from(b, (c) => c.codePointAt(0)!)]
  const at = left.findIndex((point, i) => point !== right[i])
  return at === -1 ? left.length - right.length : left[at]! - (right[at] ?? -1)
}

/** Compares by UTF-8 bytes, as Python's `sorted` and `LC_ALL=C` do. JavaScript's order differs only beyond U+FFFF. */
export const byteOrder = (a: string, b: string): number =>
  SURROGATE.test(a) || SURROGATE.test(b) ? byPoints(a, b) : a < b ? -1 : a > b ? 1 : 0

/** A hidden file or folder, or the folder that macOS adds to archives. */
export const isHidden = (part: string): boolean => part.startsWith(".") || part === "__MACOSX"

const visible = (name: string): boolean => !name.endsWith("/") && !name.split("/").some(isHidden)

/** The names that count, in byte order. */
export const sorted = (names: readonly string[]): readonly string[] => [...names].filter(visible).sort(byteOrder)
