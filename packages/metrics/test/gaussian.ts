/** Random features for the tests. */
import { Rng } from "@adafm/core"
import * as Matrix from "../src/linalg/Matrix.ts"

/** `[n, d]` standard normal. */
export const normal = (n: number, d: number, seed = 0): Matrix.Matrix =>
  Matrix.of(Rng.normal(Rng.at(seed, "test/normal"), [n, d]))

/** `[n, d]` in general position, with a decaying spectrum like that of a network's features. */
export const features = (n: number, d: number, seed = 0): Matrix.Matrix => {
  const x = normal(n, d, seed)
  return { ...x, data: x.data.map((v, at) => v / (1 + (at % d)) + 0.3 * Math.sin(at % d)) }
}
