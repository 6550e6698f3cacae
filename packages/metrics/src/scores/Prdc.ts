/**
 * Precision and recall (Kynkäänniemi et al., 2019), density and coverage (Naeem et al., 2020). The manifold of a set is the union
 * of its k-nearest-neighbour balls. The reference is `prdc` of clovaai/generative-evaluation-prdc.
 */
import type * as Matrix from "../linalg/Matrix.ts"
import * as NearestNeighbours from "./NearestNeighbours.ts"

export interface Prdc {
  /** Share of fakes inside the ball of a real image. */
  readonly precision: number
  /** Share of real images inside the ball of a fake. */
  readonly recall: number
  /** Mean number of balls of real images around a fake, divided by k. */
  readonly density: number
  /** Share of balls of real images that contain a fake. */
  readonly coverage: number
}

export interface Counted extends Prdc {
  /** Images that k or more others repeat: their balls are points, which contain nothing. */
  readonly points: { readonly fake: number; readonly real: number }
}

/** @param k 5 in prdc, 3 in torch-fidelity and StyleGAN; it must be smaller than both sets. */
export const of = async (fake: Matrix.Matrix, real: Matrix.Matrix, k = 5): Promise<Counted> => {
  const [realRadii, fakeRadii] = [await NearestNeighbours.radii(real, k), await NearestNeighbours.radii(fake, k)]
  const inside = new Float64Array(fake.rows) // real balls around each fake
  let [recalled, covered] = [0, 0]
  await NearestNeighbours.forEachRow(real, fake, (row, distances) => {
    const radius = realRadii[row]! * realRadii[row]!
    let [reached, nearest] = [false, Number.POSITIVE_INFINITY]
    for (let j = 0; j < distances.length; j++) {
      const d = distances[j]!
      if (d < radius) inside[j]! += 1
      if (d < fakeRadii[j]! * fakeRadii[j]!) reached = true
      if (d < nearest) nearest = d
    }
    if (reached) recalled++
    if (nearest < radius) covered++
  })
  return {
    precision: inside.filter((n) => n > 0).length / fake.rows,
    recall: recalled / real.rows,
    density: inside.reduce((s, n) => s + n, 0) / (k * fake.rows),
    coverage: covered / real.rows,
    points: {
      fake: NearestNeighbours.points(fake, fakeRadii),
      real: NearestNeighbours.points(real, realRadii),
    },
  }
}
