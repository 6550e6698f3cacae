/** Carries out a plan: from source parameters and a target's spec to the target's parameters, with the fate of each. */
import { Modulate } from "@adafm/adafm"
import { Failure, Flat, Leaf, NdArray } from "@adafm/core"
import type { Gan, State, Step } from "@adafm/gan"
import * as E from "fp-ts/lib/Either.js"
import * as Plan from "./Plan.ts"

export interface Fate {
  readonly path: Flat.Path
  readonly shape: readonly number[]
  readonly value: "copied" | "fresh"
  /** `modulated`: frozen, its modulation trains. `statistic`: moved by batches, by no gradient. */
  readonly moves: "trainable" | "frozen" | "modulated" | "statistic"
  /** Path in the source of a copied parameter. */
  readonly from?: Flat.Path
  /** Iteration at which it begins to train. */
  readonly unfreezeAt?: number
  /** Times the learning rate. */
  readonly lr?: number
  /** Index of the rule that decided, from 0; -1 for the modulation's parameters. */
  readonly rule: number
}

/** Elements. `trainable + frozen = total`, `copied + fresh = total`; modulated filters are frozen. Statistics are not counted. */
export interface Counts {
  readonly total: number
  readonly copied: number
  readonly fresh: number
  readonly frozen: number
  readonly modulated: number
  readonly trainable: number
}

export interface Side {
  readonly fates: Flat.Flat<Fate>
  readonly counts: Counts
  /** What training moves, grouped by first iteration and learning rate. */
  readonly trainable: readonly Step.Group[]
  readonly modulation?: Modulate.Modulation
  /** Paths of the source that are not used. */
  readonly unused: readonly Flat.Path[]
  /** Indices of rules that decided nothing: misspelt patterns, or patterns that earlier rules cover. */
  readonly idle: readonly number[]
}

export interface Graft {
  readonly generator: Side
  readonly discriminator: Side
  readonly counts: Counts
}

type Shapes = Flat.Flat<Pick<NdArray.NdArray, "shape">>

const nets = ["generator", "discriminator"] as const

const count = (fates: readonly Fate[]): Counts => {
  const parameters = fates.filter(({ moves }) => moves !== "statistic")
  const sum = (keep: (fate: Fate) => boolean): number =>
    parameters.filter(keep).reduce((n, { shape }) => n + NdArray.sizeOf(shape), 0)
  const moving = (fate: Fate): boolean =>
    fate.moves === "trainable" || (fate.moves === "frozen" && fate.unfreezeAt !== undefined)
  return {
    total: sum(() => true),
    copied: sum(({ value }) => value === "copied"),
    fresh: sum(({ value }) => value === "fresh"),
    frozen: sum((fate) => !moving(fate)),
    modulated: sum(({ moves }) => moves === "modulated"),
    trainable: sum(moving),
  }
}

export const add = (a: Counts, b: Counts): Counts => ({
  total: a.total + b.total,
  copied: a.copied + b.copied,
  fresh: a.fresh + b.fresh,
  frozen: a.frozen + b.frozen,
  modulated: a.modulated + b.modulated,
  trainable: a.trainable + b.trainable,
})

const text = (shape: readonly number[]): string => `[${shape.join(", ")}]`

/** What a rule makes of one parameter, or why it cannot. */
const fate = (
  leaf: Leaf.Leaf,
  path: Flat.Path,
  found: ReturnType<ReturnType<typeof Plan.find>>,
  source: Shapes,
): Fate | string => {
  if (found === undefined) return `${path}: no rule covers it`
  const { rule, index, from } = found
  const shape = leaf.shape
  if (rule.value === "keep") {
    const stored = source[from]?.shape
    if (stored === undefined) return `${path}: the source has no ${from} to keep`
    if (text(stored) !== text(shape)) return `${path}: ${text(shape)}, but ${from} of the source is ${text(stored)}`
  }
  if (rule.fate === "modulate" && shape.length !== 4) return `${path}: ${text(shape)} is no filter to modulate`
  const moves =
    leaf.role === "statistic"
      ? "statistic"
      : ({ train: "trainable", freeze: "frozen", modulate: "modulated" } as const)[rule.fate]
  const trains = moves !== "statistic" && moves !== "modulated"
  return {
    path,
    shape,
    value: rule.value === "keep" ? "copied" : "fresh",
    moves,
    ...(rule.value === "keep" && { from }),
    ...(trains && rule.unfreezeAt !== undefined && { unfreezeAt: rule.unfreezeAt }),
    ...(trains && rule.lr !== undefined && { lr: rule.lr }),
    rule: index,
  }
}

/** Parameters that start to train together, at one learning rate. */
const groups = (fates: readonly Fate[]): readonly Step.Group[] => {
  const moving = fates.filter(
    ({ moves, unfreezeAt }) => moves === "trainable" || (moves === "frozen" && unfreezeAt !== undefined),
  )
  const byKey = new Map<string, Fate[]>()
  for (const fate of moving) {
    const key = `from ${fate.unfreezeAt ?? 0}, rate × ${fate.lr ?? 1}`
    byKey.set(key, [...(byKey.get(key) ?? []), fate])
  }
  return [...byKey].map(([name, members]) => {
    const { unfreezeAt = 0, lr = 1 } = members[0]!
    return { name, paths: members.map(({ path }) => path), from: unfreezeAt, ...(lr !== 1 && { factor: lr }) }
  })
}

const side = (gan: Gan.Gan, net: Step.Net, plan: Plan.Plan, source: Shapes): E.Either<readonly string[], Side> => {
  const find = Plan.find(plan[net])
  const results = Object.entries(gan[net]).map(([path, leaf]) => fate(leaf, path, find(path), source))
  const problems = results.filter((r) => typeof r === "string")
  if (problems.length > 0) return E.left(problems.map((problem) => `${net}/${problem}`))
  const own = results.filter((r) => typeof r !== "string")
  const modulated = own.filter(({ moves }) => moves === "modulated").map(({ path }) => path)
  const modulation =
    modulated.length === 0
      ? undefined
      : Modulate.make(plan.modulation, gan[net], modulated, Modulate.transposed(gan, net))
  const extra = modulated.flatMap((weight): Fate[] => {
    const { rule } = find(weight)!
    const { leaves } = Modulate.make(plan.modulation, gan[net], [weight], Modulate.transposed(gan, net))
    return Object.entries(leaves).map(([path, { shape }]) => ({
      path,
      shape,
      value: "fresh",
      moves: "trainable",
      ...(rule.unfreezeAt !== undefined && { unfreezeAt: rule.unfreezeAt }),
      ...(rule.lr !== undefined && { lr: rule.lr }),
      rule: -1,
    }))
  })
  const all = [...own, ...extra]
  const used = new Set(own.map(({ from }) => from))
  return E.right({
    fates: Flat.fromEntries(all.map((f) => [f.path, f])),
    counts: count(all),
    trainable: groups(all),
    ...(modulation !== undefined && { modulation }),
    unused: Object.keys(source).filter((path) => !used.has(path)),
    idle: plan[net].flatMap((_, index) => (own.some(({ rule }) => rule === index) ? [] : [index])),
  })
}

/** Decides every fate without touching a value. One failure lists the problems of both networks. */
export const prepare = (
  target: Gan.Gan,
  plan: Plan.Plan,
  source: Readonly<Record<Step.Net, Shapes>>,
): E.Either<Failure.Failure, Graft> => {
  const [generator, discriminator] = nets.map((net) => side(target, net, plan, source[net])) as [
    E.Either<readonly string[], Side>,
    E.Either<readonly string[], Side>,
  ]
  if (E.isRight(generator) && E.isRight(discriminator))
    return E.right({
      generator: generator.right,
      discriminator: discriminator.right,
      counts: add(generator.right.counts, discriminator.right.counts),
    })
  const problems = [generator, discriminator].flatMap((s) => (E.isLeft(s) ? s.left : []))
  const shown = problems.slice(0, 20).join("; ")
  return E.left(
    Failure.make("BadPlan", problems.length > 20 ? `${shown}; and ${problems.length - 20} more` : shown, {
      path: problems[0]!.split(":")[0]!,
    }),
  )
}

/** Refuses a plan with a rule that covers nothing, which is misspelt; only a last `*` may find nothing left. */
export const everyRuleCounts = (plan: Plan.Plan, graft: Graft): E.Either<Failure.Failure, Graft> => {
  const idle = nets.flatMap((net) =>
    graft[net].idle
      .filter((index) => plan[net][index]!.paths !== "*")
      .map((index) => `${net}: rule ${index + 1}, ${plan[net][index]!.paths}, covers no path that earlier rules leave`),
  )
  return idle.length === 0 ? E.right(graft) : E.left(Failure.make("BadPlan", idle.join("; ")))
}

/** The target's parameters in the file's layout: the source's arrays where copied, drawn from the seed where fresh. */
export const params = (target: Gan.Gan, graft: Graft, source: State.Networks, seed: number): State.Networks => {
  const network = (net: Step.Net): State.Params => {
    const { fates, modulation } = graft[net]
    const leaves = Flat.merge(target[net], modulation?.leaves ?? {})
    const begun = Flat.map(fates, ({ from }, path) =>
      from === undefined ? Leaf.init(seed)(leaves[path]!, `${net}/${path}`) : source[net][from]!,
    )
    return Flat.merge(begun, modulation?.start(begun) ?? {})
  }
  return { generator: network("generator"), discriminator: network("discriminator") }
}

/** The fate of every parameter as lines of a table: for `--dry-run`. */
export const table = (graft: Graft): readonly (Fate & { readonly network: Step.Net })[] =>
  nets.flatMap((network) => Object.values(graft[network].fates).map((f) => ({ network, ...f })))
