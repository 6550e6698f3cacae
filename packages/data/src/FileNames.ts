/** Names of the files of an image set: their order, and which of them count. */

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

/** Neither hidden nor a Mac's shadow file. */
const visible = (name: string): boolean =>
  !name.endsWith("/") && !name.split("/").some((part) => part.startsWith(".") || part === "__MACOSX")

/** The names that count, in byte order. */
export const sorted = (names: readonly string[]): readonly string[] => [...names].filter(visible).sort(byteOrder)
