/** Random numbers for a picture: one stream, read in order. */
import { Rng } from "@adafm/core"

export interface Dice {
  /** Uniform on [low, high). */
  readonly between: (low: number, high: number) => number
  /** A whole number from low to high, both included. */
  readonly whole: (low: number, high: number) => number
  readonly chance: (probability: number) => boolean
  readonly pick: <A>(choices: readonly [A, ...A[]]) => A
}

const BLOCK = 512

export const of = (seed: number, purpose: string, step: number): Dice => {
  let [block, at] = [0, BLOCK]
  let numbers: Float32Array = new Float32Array()
  const next = (): number => {
    if (at === BLOCK) {
      numbers = Rng.uniform(Rng.at(seed, `${purpose}/${block++}`, step), [BLOCK]).data
      at = 0
    }
    return numbers[at++]!
  }
  const between = (low: number, high: number): number => low + (high - low) * next()
  const whole = (low: number, high: number): number => Math.floor(between(low, high + 1))
  return {
    between,
    whole,
    chance: (probability) => next() < probability,
    pick: (choices) => choices[whole(0, choices.length - 1)]!,
  }
}
