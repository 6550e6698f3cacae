/**
 * The draws of NumPy's legacy `RandomState(seed)` (MT19937: Matsumoto, Nishimura, 1998), so that subsets and the order of images
 * are those of torch-fidelity. Everything else is drawn by `core/Rng`.
 */

/** Words of the state, and the distance between two words that are mixed. */
const [N, M] = [624, 397]

export interface RandomState {
  /** `permutation(n)`; its first k are `choice(n, k, replace=False)`. */
  readonly permutation: (n: number) => Int32Array
}

/** @param seed 0 … 2³² - 1 */
export const of = (seed: number): RandomState => {
  const state = new Uint32Array(N)
  state[0] = seed
  for (let i = 1; i < N; i++) {
    const last = state[i - 1]!
    state[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i
  }
  let at = N
  const word = (): number => {
    if (at === N) {
      for (let i = 0; i < N; i++) {
        const y = (state[i]! & 0x80000000) | (state[(i + 1) % N]! & 0x7fffffff)
        state[i] = state[(i + M) % N]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
      }
      at = 0
    }
    let y = state[at++]!
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    return (y ^ (y >>> 18)) >>> 0
  }
  /** Uniform in 0 … most: larger draws are rejected. */
  const interval = (most: number): number => {
    const mask = 0xffffffff >>> Math.clz32(most)
    for (;;) {
      const value = (word() & mask) >>> 0
      if (value <= most) return value
    }
  }
  return {
    permutation: (n) => {
      const order = Int32Array.from({ length: n }, (_, i) => i)
      for (let i = n - 1; i > 0; i--) {
        const j = interval(i)
        const kept = order[i]!
        order[i] = order[j]!
        order[j] = kept
      }
      return order
    },
  }
}
