/**
 * One training iteration in the authors' order: the generator's step, its moving average, then the discriminator's step on the
 * real images and on the fakes that the generator made before its update.
 *
 * A step is a pure function of (state, batch) that an engine compiles. State paths: `generator/…`, `discriminator/…`
 * (trainable and frozen parameters), `generator_ema/…` for everything that moves at some step, `g_adam_v/…`, `d_adam_v/…` (and
 * `…_m/…`) for the parameters that are trained now.
 */
import { Ema, Flat, Grad, type Leaf, Optimizer } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as tf from "@tensorflow/tfjs-core"
import type { Gan } from "../Gan.ts"
import * as Latents from "../Latents.ts"
import * as AdversarialLoss from "../losses/AdversarialLoss.ts"
import * as GradientPenalty from "../losses/GradientPenalty.ts"
import * as Hinge from "../losses/Hinge.ts"
import type { Images, Tensors } from "../Network.ts"
import type * as StepExtras from "./StepExtras.ts"

/** Parameters whose training starts together, at step `from`; their optimiser counts its steps from there. */
export interface Group {
  readonly name: string
  readonly paths: readonly Flat.Path[]
  readonly from: number
  /** Multiplies the learning rate. */
  readonly factor?: number
}

/** Extra parameters, and the function that computes the parameters in use from a network's parameters and the extra ones. */
export interface Modulation {
  readonly leaves: Flat.Flat<Leaf.Leaf>
  readonly resolve: (params: Tensors) => Tensors
}

export interface Setup {
  readonly gan: Gan
  readonly batchSize: number
  readonly optimizer: { readonly generator: Optimizer.Optimizer; readonly discriminator: Optimizer.Optimizer }
  readonly penalty: GradientPenalty.Config
  /** The hinge loss, whose inputs are those of `Hinge.extras`; without it the loss is the non-saturating one. */
  readonly hinge?: Hinge.Config
  readonly ema: Ema.Ema
  readonly trainable: { readonly generator: readonly Group[]; readonly discriminator: readonly Group[] }
  readonly modulation?: { readonly generator?: Modulation; readonly discriminator?: Modulation }
  readonly extras?: StepExtras.StepExtras
  /** Keep every gradient in the state as `g_adam_m/…`, `d_adam_m/…`, even if the optimiser has no momentum and does not need it. */
  readonly recordGradients?: boolean
}

export type Net = "generator" | "discriminator"
export const nets: readonly Net[] = ["generator", "discriminator"]
const letter = (net: Net): "g" | "d" => (net === "generator" ? "g" : "d")

/** Specs of a network's parameters and statistics, and of its modulation's parameters. */
export const leaves = ({ gan, modulation }: Setup, net: Net): Flat.Flat<Leaf.Leaf> =>
  Flat.merge(gan[net], modulation?.[net]?.leaves ?? {})

/** The groups that are trained at a step. */
export const active = ({ trainable }: Setup, net: Net, step: number): readonly Group[] =>
  trainable[net].filter(({ from }) => from <= step)

/** The steps at which the set of trained parameters changes, including 0. */
export const phases = ({ trainable }: Setup): readonly number[] =>
  [...new Set([0, ...nets.flatMap((net) => trainable[net].map(({ from }) => from))])].sort((a, b) => a - b)

export const paths = (groups: readonly Group[]): readonly Flat.Path[] => groups.flatMap((group) => group.paths)

/** Everything that moves in the generator at some step: trained parameters and batch-norm statistics. The rest needs no average. */
export const averaged = (setup: Setup): readonly Flat.Path[] => [
  ...paths(setup.trainable.generator),
  ...Object.keys(Flat.filter(setup.gan.generator, (_, { role }) => role === "statistic")),
]

export const keepsFirstMoment = ({ optimizer, recordGradients = false }: Setup, net: Net): boolean =>
  recordGradients || Optimizer.hasMomentum(optimizer[net])

const scalarNames = (net: Net, group: string): { readonly rate: string; readonly spread: string } => ({
  rate: `${letter(net)}_adam/${group}/rate`,
  spread: `${letter(net)}_adam/${group}/spread`,
})

/** The numbers that a step reads and that depend on the step count: learning rates with Adam's bias correction, the decay of the moving average. */
export const schedule = (setup: Setup, step: number): Flat.Flat<number> =>
  Flat.fromEntries([
    ["ema_decay", Ema.decayAt(setup.ema, step)],
    ...nets.flatMap((net) =>
      active(setup, net, step).flatMap(({ name, from, factor = 1 }): [string, number][] => {
        const { rate, spread } = Optimizer.coefficients(setup.optimizer[net], step - from + 1)
        const names = scalarNames(net, name)
        return [
          [names.rate, factor * rate],
          [names.spread, spread],
        ]
      }),
    ),
  ])

const pick = (flat: Tensors, chosen: readonly Flat.Path[]): Tensors =>
  Flat.fromEntries(chosen.map((path) => [path, flat[path]!] as const))

/** Share of values that are nearly -1 or 1. A high share in the first steps means that the new head does not match the copied layers. */
const saturation = (images: Images): tf.Scalar => tf.mean(tf.cast(tf.greater(tf.abs(images), 0.99), "float32"))

/** The update of one network's trained parameters, as entries of the new state. */
const updated = (
  setup: Setup,
  net: Net,
  groups: readonly Group[],
  grads: Tensors,
  state: Tensors,
  batch: Tensors,
): Tensors => {
  const l = letter(net)
  const coefficients = Flat.fromEntries(
    groups.flatMap((group) => {
      const { rate, spread } = scalarNames(net, group.name)
      return group.paths.map((path) => [path, { rate: batch[rate]!, spread: batch[spread]! }] as const)
    }),
  )
  const { params, v, m } = Optimizer.update(
    setup.optimizer[net],
    Flat.under(state, net),
    grads,
    { m: Flat.under(state, `${l}_adam_m`), v: Flat.under(state, `${l}_adam_v`) },
    (path) => coefficients[path]!,
  )
  return Flat.merge(
    Flat.prefix(params, net),
    Flat.prefix(v, `${l}_adam_v`),
    keepsFirstMoment(setup, net) ? Flat.prefix(m ?? grads, `${l}_adam_m`) : {},
  )
}

/** What the discriminator says of one kind of images. */
interface Verdict {
  /** `[B]` */
  readonly logits: tf.Tensor
  /** `[B, P]` of a discriminator that judges patches, otherwise `logits`. */
  readonly perPatch: tf.Tensor
  readonly penalty?: tf.Scalar
}

interface Verdicts extends Readonly<Record<StepExtras.Which, Verdict>> {
  readonly reconstruction?: tf.Scalar
}

/** @param part see `Network.Patches` */
const verdicts = (
  { gan, penalty }: Setup,
  params: Tensors,
  seen: Readonly<Record<StepExtras.Which, Images>>,
  y: tf.Tensor | undefined,
  part?: tf.Tensor,
): Verdicts => {
  const discriminate = (x: tf.Tensor): tf.Tensor => gan.discriminate(params, x, y)
  if (gan.patches === undefined) {
    const of = (which: StepExtras.Which): Verdict => {
      const penalised = GradientPenalty.isOn(penalty, which)
      const judged = GradientPenalty.withLogits(discriminate, seen[which], penalised, penalty.weight)
      return { ...judged, perPatch: judged.logits }
    }
    return { real: of("real"), fake: of("fake") }
  }
  const { reconstruction, ...patches } = gan.patches.judge(params, seen, part)
  const of = (which: StepExtras.Which): Verdict => ({
    logits: tf.mean(patches[which], 1),
    perPatch: patches[which],
    ...(GradientPenalty.isOn(penalty, which) && GradientPenalty.onlyPenalty(discriminate, seen[which], penalty.weight)),
  })
  return { real: of("real"), fake: of("fake"), ...(reconstruction && { reconstruction }) }
}

/** The logits of fakes for the generator's loss: `[B]`, or `[B, P]` of a discriminator that judges patches. */
const fakeLogits = (
  { gan }: Setup,
  params: Tensors,
  fake: Images,
  real: () => Images,
  y: tf.Tensor | undefined,
): tf.Tensor =>
  gan.patches === undefined ? gan.discriminate(params, fake, y) : gan.patches.judge(params, { real: real(), fake }).fake

/** The iteration, for every step of the phase that contains `step`. */
export const make = (setup: Setup, step: number): Engine.Step => {
  const { gan, hinge, extras = {} } = setup
  const groups = { generator: active(setup, "generator", step), discriminator: active(setup, "discriminator", step) }
  const resolve = (net: Net, params: Tensors): Tensors => setup.modulation?.[net]?.resolve(params) ?? params

  return (state, batch) => {
    const given: StepExtras.Given = { state, batch }
    const augment = (images: Images, which: StepExtras.Which): Images =>
      extras.augment?.(images, given, which) ?? images
    const [g, d] = [Flat.under(state, "generator"), Flat.under(state, "discriminator")]
    const x = batch.x as Images
    const inputs = Latents.inputs(gan, batch)
    const { y } = inputs

    const generatorLoss = (trained: Tensors): Grad.Loss => {
      const params = Flat.merge(g, trained)
      const { images, statistics } = gan.generateTraining(resolve("generator", params), inputs)
      const real = (): Images => augment(x, "real")
      const logits = fakeLogits(setup, resolve("discriminator", d), augment(images, "fake"), real, y)
      const adversarial = (hinge === undefined ? AdversarialLoss : Hinge).generator(logits)
      const extra = extras.generatorLoss?.({ params, images, ...given })
      return {
        loss: extra === undefined ? adversarial : tf.add(adversarial, extra),
        also: Flat.merge(
          { images, "stats/g_loss": adversarial, ...(extra && { "stats/g_extra": extra }) },
          Flat.prefix(statistics, "statistics"),
        ),
      }
    }
    const gStep = Grad.valueAndGrads(generatorLoss, pick(g, paths(groups.generator)), "zeros")
    const fakes = gStep.also.images as Images
    const statistics = Flat.under(gStep.also, "statistics")
    const nextG = updated(setup, "generator", groups.generator, gStep.grads, state, batch)

    const discriminatorLoss = (trained: Tensors): Grad.Loss => {
      const params = Flat.merge(d, trained)
      const resolved = resolve("discriminator", params)
      const seen = { real: augment(x, "real"), fake: augment(fakes, "fake") }
      const part = hinge === undefined || hinge.reconstruction === 0 ? undefined : batch["hinge/part"]
      const { real, fake, reconstruction } = verdicts(setup, resolved, seen, y, part)
      const logits = { real: real.logits, fake: fake.logits }
      const adversarial =
        hinge === undefined
          ? AdversarialLoss.discriminator(real.logits, fake.logits)
          : Hinge.discriminator(real.perPatch, fake.perPatch, {
              real: batch["hinge/real"]!,
              fake: batch["hinge/fake"]!,
            })
      const rebuilt = reconstruction && tf.mul(reconstruction, hinge!.reconstruction)
      const extra = extras.discriminatorLoss?.({ params, resolved, seen, logits, ...given })
      const terms = [adversarial, real.penalty, fake.penalty, rebuilt, extra].filter((term) => term !== undefined)
      return {
        loss: terms.reduce((sum, term) => tf.add(sum, term)),
        also: Flat.merge(
          Flat.prefix(logits, "logits"),
          Flat.prefix(
            {
              d_loss: adversarial,
              logit_real: tf.mean(real.logits),
              logit_fake: tf.mean(fake.logits),
              saturation: saturation(fakes),
              ...(real.penalty && { reg_real: real.penalty }),
              ...(fake.penalty && { reg_fake: fake.penalty }),
              ...(reconstruction && { d_reconstruction: reconstruction }),
              ...(extra && { d_extra: extra }),
            },
            "stats",
          ),
        ),
      }
    }
    const dStep = Grad.valueAndGrads(discriminatorLoss, pick(d, paths(groups.discriminator)), "zeros")
    const { real, fake } = Flat.under(dStep.also, "logits")
    const moved = extras.move?.({ logits: { real: real!, fake: fake! }, ...given })

    return {
      state: Flat.merge(
        nextG,
        Flat.prefix(statistics, "generator"),
        Flat.prefix(
          Ema.update(Flat.under(state, "generator_ema"), Flat.under(nextG, "generator"), batch.ema_decay!),
          "generator_ema",
        ),
        Flat.prefix(statistics, "generator_ema"),
        updated(setup, "discriminator", groups.discriminator, dStep.grads, state, batch),
        moved?.state ?? {},
      ),
      stats: Flat.merge(Flat.under(gStep.also, "stats"), Flat.under(dStep.also, "stats"), moved?.stats ?? {}),
    }
  }
}
