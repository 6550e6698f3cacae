/** Random numbers that a few lines of any language reproduce, so that a golden file holds results only. */

/** xorshift32 (13, 17, 5) seeded with the FNV-1a hash of a name; each state / 2³² · 2 - 1, times `scale`. */
export const numbers = (name: string, count: number, scale = 1): Float32Array => {
  let h = 2166136261
  for (const c of new TextEncoder().encode(name)) h = Math.imul(h ^ c, 16777619) >>> 0
  return Float32Array.from({ length: count }, () => {
    h ^= h << 13
    h ^= h >>> 17
    h = (h ^ (h << 5)) >>> 0
    return ((h / 2 ** 32) * 2 - 1) * scale
  })
}
