/** How many steps the demonstration takes on this machine: decided once, from a few measured steps, so that its total does not change. */

export interface DemoPlan {
  /** Steps of each of the two arms. */
  readonly steps: number
  /** Images of a step. */
  readonly batch: number
}

export interface Measured {
  /** Steps that a fast machine takes. */
  readonly wanted: number
  /** Seconds of a step of `BATCH` images. */
  readonly secondsPerStep: number
  /** Seconds that are left for both arms. */
  readonly seconds: number
  /** Steps that an earlier call has done. */
  readonly done?: number
  /** The batch of an earlier call, which cannot change. */
  readonly batch?: number
}

export const BATCH = 16
/** On a slow machine half of the images make a step cheaper, and its pictures are better than those of half as many steps. */
const SMALL = 8
/** A step of half of the images takes this share of the time. */
const SMALLER = 0.6
/** Fewer steps than these make no picture worth looking at: they are taken even if that takes longer. */
const LEAST = 160
/** From here on the small batch is not needed. */
const ENOUGH = 240

export const of = ({ wanted, secondsPerStep, seconds, done = 0, batch }: Measured): DemoPlan => {
  const room = (share: number): number => done + Math.floor(Math.max(0, seconds) / 2 / (share * secondsPerStep))
  const own = batch ?? (room(1) >= Math.min(wanted, ENOUGH) ? BATCH : SMALL)
  const steps = room(own < BATCH ? SMALLER : 1)
  return { batch: own, steps: Math.min(wanted, Math.max(LEAST, steps, done)) }
}

/** What a slow machine is told. */
export const text = ({ steps, batch }: DemoPlan, wanted: number): string =>
  `this machine is slow or busy: both arms take ${steps} of ${wanted} steps, of ${batch} images each; the same command again continues from there`
