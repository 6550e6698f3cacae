/** Householder reflections, which zero all elements of a vector but one. */

/**
 * A reflector `I - β·v·vᵀ` that maps the elements of `x` from `from` on to `(α, 0, …)`; `v` replaces them in `x`.
 * @returns β and α; β is 0 if `x` has that form already
 */
export const reflector = (x: Float64Array, from: number): readonly [beta: number, alpha: number] => {
  let tail = 0
  for (let i = from + 1; i < x.length; i++) tail += x[i]! * x[i]!
  const head = x[from] ?? 0
  if (tail === 0) return [0, head]
  const norm = Math.sqrt(head * head + tail)
  const alpha = head > 0 ? -norm : norm
  x[from] = head - alpha
  return [2 / (x[from]! * x[from]! + tail), alpha]
}
