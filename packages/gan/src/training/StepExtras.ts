/**
 * What a variant of training may add to an iteration, as data and pure functions: losses, augmentations, tensors of the state.
 * This module does not know the variants; the extras of several can be combined.
 */
import { Flat, type NdArray } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Images, Tensors } from "../Network.ts"

type Arrays = Flat.Flat<NdArray.NdArray<"float32" | "int32">>
export type Which = "real" | "fake"

/** The inputs of a step: the state before it, and its batch. */
export interface Given {
  readonly state: Tensors
  readonly batch: Tensors
}

export interface GeneratorLoss extends Given {
  /** The generator's parameters before modulation; the trainable ones are differentiable. */
  readonly params: Tensors
  /** The fakes of this step. */
  readonly images: Images
}

/** The discriminator's logits for reals and fakes, `[B]` each. */
export interface Judged extends Given {
  readonly logits: Readonly<Record<Which, tf.Tensor>>
}

export interface DiscriminatorLoss extends Judged {
  readonly params: Tensors
  /** The discriminator's parameters after modulation. */
  readonly resolved: Tensors
  /** Reals and fakes after augmentation, as the discriminator received them. */
  readonly seen: Readonly<Record<Which, Images>>
}

export interface StepExtras {
  /** Tensors of the state that never change, under new names, in compute layout. */
  readonly constants?: Arrays
  /** Initial values of the tensors of the state that `move` updates; they are in the checkpoints like everything else. */
  readonly moving?: Arrays
  /** Additional inputs of a step, such as the random draws of an augmentation; their shapes must not change. */
  readonly inputs?: (step: number) => Arrays
  /** Applied to reals and fakes before the discriminator sees them; differentiable. */
  readonly augment?: (images: Images, given: Given, which: Which) => Images
  /** Added to the generator's loss. */
  readonly generatorLoss?: (at: GeneratorLoss) => tf.Scalar
  /** Added to the discriminator's loss. */
  readonly discriminatorLoss?: (at: DiscriminatorLoss) => tf.Scalar
  /** The next values of `moving`, from the discriminator's logits before its update. */
  readonly move?: (judged: Judged) => { readonly state: Tensors; readonly stats?: Tensors }
}

type Sum<A> = ((at: A) => tf.Scalar) | undefined

const summed = <A>(terms: readonly Sum<A>[]): Sum<A> => {
  const given = terms.filter((term) => term !== undefined)
  return given.length === 0 ? undefined : (at) => given.map((term) => term(at)).reduce((a, b) => tf.add(a, b))
}

/** Combines extras: losses are added, augmentations are applied in this order. Their names must differ. */
export const combine = (...all: readonly StepExtras[]): StepExtras => {
  const augments = all.flatMap(({ augment }) => (augment === undefined ? [] : [augment]))
  const moves = all.flatMap(({ move }) => (move === undefined ? [] : [move]))
  const generatorLoss = summed(all.map((extras) => extras.generatorLoss))
  const discriminatorLoss = summed(all.map((extras) => extras.discriminatorLoss))
  return {
    constants: Flat.merge(...all.map(({ constants = {} }) => constants)),
    moving: Flat.merge(...all.map(({ moving = {} }) => moving)),
    inputs: (step) => Flat.merge(...all.map(({ inputs }) => inputs?.(step) ?? {})),
    ...(augments.length > 0 && {
      augment: (images, given, which) => augments.reduce((x, augment) => augment(x, given, which), images),
    }),
    ...(generatorLoss && { generatorLoss }),
    ...(discriminatorLoss && { discriminatorLoss }),
    ...(moves.length > 0 && {
      move: (judged) => {
        const results = moves.map((move) => move(judged))
        return {
          state: Flat.merge(...results.map(({ state }) => state)),
          stats: Flat.merge(...results.map(({ stats = {} }) => stats)),
        }
      },
    }),
  }
}
