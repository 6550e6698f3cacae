/** Shape assertions for layers. A wrong shape is a bug, so it throws. */

/** `Shape.assert(x, ["B", "H", "W", 64])`: a number must match; a letter matches any size, and the same size where it repeats. */
export const assert = (
  tensor: { readonly shape: readonly number[] },
  expected: readonly (number | string)[],
  what = "tensor",
): void => {
  const sizes = new Map<string, number>()
  const fits =
    tensor.shape.length === expected.length &&
    expected.every((size, axis) => {
      const found = tensor.shape[axis]!
      if (typeof size === "number") return size === found
      const known = sizes.get(size)
      sizes.set(size, found)
      return known === undefined || known === found
    })
  if (!fits) throw new Error(`${what}: expected shape [${expected.join(", ")}], got [${tensor.shape.join(", ")}]`)
}
