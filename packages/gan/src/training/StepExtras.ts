/**
 * What a variant may add to a training iteration, as data and pure functions: losses, augmentations, tensors of the state. Nothing
 * here knows which variant it is; several are combined into one.
 */
import { Flat, type NdArray } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Images, Tensors } from "../Network.ts"

type Arrays = Flat.Flat<NdArray.NdArray<"float32" | "int32">>
export type Which = "real" | "fake"

/** What a step reads: the state before it, and its inputs. */
export interface Given {
  readonly state: Tensors
  readonly batch: Tensors
}

export interface GeneratorLoss extends Given {
  /** The network's parameters before modulation, the trainable ones among them differentiable. */
  readonly params: Tensors
  /** Fakes of this step. */
  readonly images: Images
}

/** What the discriminator said of reals and fakes. `[B]` each */
export interface Judged extends Given {
  readonly logits: Readonly<Record<Which, tf.Tensor>>
}

export interface DiscriminatorLoss extends Judged {
  readonly params: Tensors
  /** The parameters that the network was applied with, behind its modulation. */
  readonly resolved: Tensors
  /** Reals and fakes as the discriminator saw them, augmented. */
  readonly seen: Readonly<Record<Which, Images>>
}

export interface StepExtras {
  /** Frozen tensors of the state, under names of their own, in compute layout. */
  readonly constants?: Arrays
  /** Tensors of the state that `move` goes on from, as they begin; in the checkpoints like everything else. */
  readonly moving?: Arrays
  /** Further inputs of a step, such as the random draws of an augmentation; shapes must not change. */
  readonly inputs?: (step: number) => Arrays
  /** Applied to reals and fakes before the discriminator sees them; differentiable. */
  readonly augment?: (images: Images, given: Given, which: Which) => Images
  /** Added to the generator's loss. */
  readonly generatorLoss?: (at: GeneratorLoss) => tf.Scalar
  /** Added to the discriminator's loss. */
  readonly discriminatorLoss?: (at: DiscriminatorLoss) => tf.Scalar
  /** The next values of `moving`, from what the discriminator said before its update. */
  readonly move?: (judged: Judged) => { readonly state: Tensors; readonly stats?: Tensors }
}

type Sum<A> = ((at: A) => tf.Scalar) | undefined

const summed = <A>(terms: readonly Sum<A>[]): Sum<A> => {
  const given = terms.filter((term) => term !== undefined)
  return given.length === 0 ? undefined : (at) => given.map((term) => term(at)).reduce((a, b) => tf.add(a, b))
}

/** All of them at once: losses are added, augmentations applied in this order. Names must not meet. */
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
