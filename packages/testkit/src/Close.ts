/** Differences between two arrays, measured as for the fixtures. Arrays of different lengths throw. */

/** Largest |difference| / largest |expected|; NaN if any number is NaN. */
export const relative = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => {
  if (actual.length !== expected.length) throw new Error(`expected ${expected.length} numbers, got ${actual.length}`)
  let [difference, size] = [0, 0]
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i]! - expected[i]!)
    if (Number.isNaN(d)) return Number.NaN
    difference = Math.max(difference, d)
    size = Math.max(size, Math.abs(expected[i]!))
  }
  return difference === 0 ? 0 : difference / size
}

/** `|difference| / max(1, |expected|)` of every element. */
export const steps = (actual: ArrayLike<number>, expected: ArrayLike<number>): Float64Array => {
  if (actual.length !== expected.length) throw new Error(`expected ${expected.length} numbers, got ${actual.length}`)
  return Float64Array.from(
    { length: expected.length },
    (_, i) => Math.abs(actual[i]! - expected[i]!) / Math.max(1, Math.abs(expected[i]!)),
  )
}
