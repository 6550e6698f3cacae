import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Failure, Flat, Leaf, NdArray, Optimizer } from "@adafm/core"
import { Dcgan, Gan, GpGan, State, type Step } from "@adafm/gan"
import { Shared } from "@adafm/testkit"
import type * as E from "fp-ts/lib/Either.js"
import { describe, expect, test } from "vitest"
import { z } from "zod"
import * as Recognise from "../../src/recognise/Recognise.ts"
import * as Graft from "../../src/surgery/Graft.ts"
import * as Plan from "../../src/surgery/Plan.ts"
import * as Target from "../../src/surgery/Target.ts"
import { planOf } from "./planOf.ts"

type Paths = readonly string[]
interface Sided<A> {
  readonly generator: A
  readonly discriminator: A
}
interface Expected {
  readonly config: { target: { z_dim: number; style_dim: number } }
  readonly largest_m_and_n: number
  readonly source_shapes: Sided<Record<string, number[]>>
  readonly GmDn: Sided<
    Record<
      string,
      {
        trainable: Paths
        frozen: Paths
        frozen_but_fresh: Paths
        counts: Graft.Counts
        copied_if_only_frozen_groups_are_copied: Paths
      }
    >
  > & { readonly copied: Sided<Paths>; readonly fresh: Sided<Paths> }
  readonly adafm: {
    readonly copied: Paths
    readonly fresh: Paths
    readonly frozen_always: Paths
    readonly frozen_until_unfreeze: Paths
    readonly trainable_after: Paths
    readonly counts: { total: number; frozen_always: number; adafm: number; trainable_after: number }
  }
}

const gpgan = Shared.path("fixtures/gpgan") ?? ""
const nets = ["generator", "discriminator"] as const

const asShapes = (shapes: Record<string, number[]>): Flat.Flat<{ shape: readonly number[] }> =>
  Flat.map(shapes, (shape) => ({ shape }))

describe.skipIf(Shared.missing("fixtures/gpgan")).each(["transfer.json", "transfer.tiny.json"])(
  "the fates of %s",
  (file) => {
    const expected =
      gpgan === ""
        ? (undefined as unknown as Expected)
        : (JSON.parse(readFileSync(join(gpgan, file), "utf8")) as Expected)
    const source = () => {
      const known = Recognise.networks(expected.source_shapes)
      if (known._tag !== "Known" || known.config.architecture !== "gpgan") throw new Error("not recognised")
      return {
        config: known.config,
        shapes: {
          generator: asShapes(expected.source_shapes.generator),
          discriminator: asShapes(expected.source_shapes.discriminator),
        },
      }
    }
    const select = (side: Graft.Side, keep: (fate: Graft.Fate) => boolean): string[] =>
      Object.values(side.fates)
        .filter(keep)
        .map(({ path }) => path)
        .sort()

    test("every GmDn of both readings freezes, copies and trains exactly the fixture's parameters", () => {
      const { config, shapes } = source()
      const target = Gan.of({ ...(Target.of(config) as GpGan.Config), z_dim: expected.config.target.z_dim })
      for (let k = 0; k <= expected.largest_m_and_n; k++)
        for (const copy of ["whole body", "only frozen"] as const) {
          const plan = Failure.orThrow(
            planOf(`g${k}d${k}`, target.config, { rest: copy === "whole body" ? "copied" : "fresh" }),
          )
          const graft = Failure.orThrow(Graft.prepare(target, plan, shapes))
          for (const net of nets) {
            const want = expected.GmDn[net][k]!
            const side = graft[net]
            expect(select(side, ({ moves }) => moves === "trainable")).toEqual([...want.trainable].sort())
            expect(select(side, ({ moves }) => moves === "frozen")).toEqual([...want.frozen].sort())
            expect(select(side, ({ moves, value }) => moves === "frozen" && value === "fresh")).toEqual(
              [...want.frozen_but_fresh].sort(),
            )
            const copied =
              copy === "whole body" ? expected.GmDn.copied[net] : want.copied_if_only_frozen_groups_are_copied
            expect(select(side, ({ value }) => value === "copied")).toEqual([...copied].sort())
            expect(side.counts).toMatchObject(
              copy === "whole body" ? want.counts : { total: want.counts.total, trainable: want.counts.trainable },
            )
          }
        }
      expect(planOf(`g${expected.largest_m_and_n + 1}d0`, target.config)).toMatchObject({
        left: { _tag: "BadRecipe" },
      })
    })

    test("the small head with AdaFM has the fixture's parameters, frozen until the modulation begins", () => {
      const { config, shapes } = source()
      const { z_dim, style_dim } = expected.config.target
      const small = Target.of(config, { head: "small" })
      if (small.architecture !== "gpgan-small-head") throw new Error("no small head")
      const target = Gan.of({ ...small, z_dim, style_dim })
      const plan = Failure.orThrow(planOf("adafm", target.config, {}, { unfreezeAt: 7 }))
      const { generator } = Failure.orThrow(Graft.prepare(target, plan, shapes))
      const { adafm } = expected
      expect(select(generator, ({ value }) => value === "copied")).toEqual([...adafm.copied].sort())
      expect(select(generator, ({ value }) => value === "fresh")).toEqual([...adafm.fresh].sort())
      expect(select(generator, ({ moves }) => moves === "frozen" || moves === "modulated")).toEqual(
        [...adafm.frozen_always].sort(),
      )
      expect(select(generator, ({ unfreezeAt }) => unfreezeAt === 7)).toEqual([...adafm.frozen_until_unfreeze].sort())
      expect(generator.counts).toMatchObject({
        total: adafm.counts.total,
        frozen: adafm.counts.frozen_always,
        trainable: adafm.counts.trainable_after,
      })
      expect(generator.trainable.map(({ from }) => from).sort()).toEqual([0, 7])
    })

    test("the GP head with AdaFM adds γ and β of conv_0 and conv_1 in the frozen groups alone", () => {
      const { config, shapes } = source()
      const target = Gan.of({ ...(Target.of(config) as GpGan.Config) })
      const { generator, discriminator } = Failure.orThrow(
        Graft.prepare(target, Failure.orThrow(planOf("adafm", target.config)), shapes),
      )
      expect(select(generator, ({ rule }) => rule === -1)).toEqual([...adafmPaths(expected)].sort())
      expect(discriminator.counts.modulated).toBe(0)
      expect(discriminator.counts).toMatchObject(expected.GmDn.discriminator[2]!.counts)
    })
  },
)

const adafmPaths = ({ adafm }: Expected): Paths => adafm.frozen_until_unfreeze

/** Counts by hand: convolutions of the face DCGAN. */
describe("the fates of a DCGAN", () => {
  const config = Dcgan.Config.parse({
    ...Dcgan.standard({ resolution: 32, nf: 8, z_dim: 5 }),
  })
  const gan = Gan.of(config)

  test("adafm trains the first layer and the batch norms, freezes and modulates every later convolution of G and two of D", () => {
    const { generator, discriminator, counts } = Failure.orThrow(
      Graft.prepare(gan, Failure.orThrow(planOf("adafm", config)), gan),
    )
    // G: 5 → 32 → 16 → 8 → 3 channels, kernels 4 × 4
    const filters = [32 * 16, 16 * 8, 8 * 3]
    const modulated = filters.reduce((n, planes) => n + 16 * planes, 0)
    const norms = 2 * (32 + 16 + 8)
    const first = 5 * 32 * 16
    const planes = filters.reduce((n, p) => n + p, 0)
    expect(generator.counts).toEqual({
      total: first + norms + modulated + 2 * planes,
      copied: first + norms + modulated,
      fresh: 2 * planes,
      frozen: modulated,
      modulated,
      trainable: first + norms + 2 * planes,
    })
    expect(generator.fates["main.3.adafm.gamma"]).toMatchObject({
      shape: [32, 16, 1, 1],
      moves: "trainable",
      value: "fresh",
    })
    // D: 3 → 8 (no norm) → 16 → 32 → 1
    const frozen = 16 * 3 * 8 + 16 * 8 * 16 + 2 * 16
    expect(discriminator.counts).toMatchObject({
      frozen,
      fresh: 0,
      modulated: 0,
      trainable: 16 * 16 * 32 + 2 * 32 + 16 * 32,
    })
    expect(counts.total).toBe(generator.counts.total + discriminator.counts.total)
    expect(Object.values(generator.fates).filter(({ moves }) => moves === "statistic")).toHaveLength(6)
  })

  test("copied arrays are the source's own, fresh ones follow from the seed, modulation begins as the identity", () => {
    const arrays = (net: "generator" | "discriminator") =>
      Flat.map(gan[net], ({ shape }) => NdArray.float32(shape, new Float32Array(NdArray.sizeOf(shape)).fill(7)))
    const source = { generator: arrays("generator"), discriminator: arrays("discriminator") }
    const plan = Failure.orThrow(
      Plan.parse(`
generator:
  - { paths: "main.0.*", value: fresh }
  - { paths: "main.{3,6}.weight", fate: modulate, unfreezeAt: 5, lr: 2 }
  - { paths: "*", fate: freeze }
discriminator:
  - { paths: "*", lr: 0.5 }
`),
    )
    const graft = Failure.orThrow(Graft.prepare(gan, plan, source))
    const { generator, discriminator } = Graft.params(gan, graft, source, 3)
    expect(generator["main.3.weight"]).toBe(source.generator["main.3.weight"])
    expect(new Set(generator["main.3.adafm.gamma"]!.data)).toEqual(new Set([1]))
    expect(new Set(generator["main.6.adafm.beta"]!.data)).toEqual(new Set([0]))
    expect(generator["main.0.weight"]!.data).toEqual(
      Graft.params(gan, graft, source, 3).generator["main.0.weight"]!.data,
    )
    expect(generator["main.0.weight"]!.data).not.toEqual(
      Graft.params(gan, graft, source, 4).generator["main.0.weight"]!.data,
    )
    expect(graft.generator.trainable).toEqual([
      { name: "from 0, rate × 1", paths: ["main.0.weight"], from: 0 },
      {
        name: "from 5, rate × 2",
        paths: ["main.3", "main.6"].flatMap((p) => [`${p}.adafm.gamma`, `${p}.adafm.beta`]),
        from: 5,
        factor: 2,
      },
    ])
    expect(graft.discriminator.trainable).toMatchObject([{ factor: 0.5 }])
    expect(discriminator["main.0.weight"]).toBe(source.discriminator["main.0.weight"])
  })

  test.each(["adafm", "g2d1", "g2d1-adafm", "finetune", "scratch"])(
    "the recipe %s makes a state that training accepts",
    (name) => {
      for (const config of [
        gan.config,
        Target.of(
          GpGan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, z_dim: 3, nlabels: 2, embed: 2 }),
          { head: "small" },
        ),
      ]) {
        const target = Gan.of(config)
        const source = {
          generator: Leaf.initAll(target.generator, 1, "generator"),
          discriminator: Leaf.initAll(target.discriminator, 1, "discriminator"),
        }
        const graft = Failure.orThrow(
          Graft.prepare(target, Failure.orThrow(planOf(name, config, {}, { unfreezeAt: 3 })), source),
        )
        const setup = {
          gan: target,
          trainable: { generator: graft.generator.trainable, discriminator: graft.discriminator.trainable },
          modulation: { ...(graft.generator.modulation && { generator: graft.generator.modulation }) },
          optimizer: { generator: Optimizer.adam, discriminator: Optimizer.adam },
        } as unknown as Step.Setup
        const state = State.initial(setup, Graft.params(target, graft, source, 0))
        const names = ["generator", "discriminator"].flatMap((net) => Object.keys(Flat.under(state, net)))
        expect(names.sort()).toEqual(
          Graft.table(graft)
            .map(({ path }) => path)
            .sort(),
        )
      }
    },
  )

  test("an uncovered path, a missing and a mis-shaped source and a filter that is none come in one failure", () => {
    const source = {
      generator: Flat.merge<{ shape: readonly number[] }>(gan.generator, { "main.0.weight": { shape: [1, 2] } }),
      discriminator: Flat.filter(gan.discriminator, (p) => p !== "main.0.weight"),
    }
    const plan = Failure.orThrow(
      Plan.decode({
        generator: [{ paths: "main.1.bias", fate: "modulate" }, { paths: "main.[01].*" }],
        discriminator: [{ paths: "*" }],
      }),
    )
    const failure = Graft.prepare(gan, plan, source)
    expect(failure).toMatchObject({ left: { _tag: "BadPlan" } })
    const { message } = (failure as E.Left<Failure.Failure>).left
    expect(message).toMatch(/main\.0\.weight: \[5, 32, 4, 4\], but main\.0\.weight of the source is \[1, 2\]/)
    expect(message).toMatch(/main\.1\.bias: \[32\] is no filter/)
    expect(message).toMatch(/main\.3\.weight: no rule covers it/)
    expect(message).toMatch(/discriminator\/main\.0\.weight: the source has no main\.0\.weight/)
  })

  test("a rule of a plan that covers nothing is named; a last star may cover nothing", () => {
    const source = { generator: gan.generator, discriminator: gan.discriminator }
    const planned = (generator: object[]) => {
      const plan = Failure.orThrow(
        Plan.decode({ generator, discriminator: [{ paths: "main.*" }, { paths: "*", lr: 2 }] }),
      )
      return Graft.everyRuleCounts(plan, Failure.orThrow(Graft.prepare(gan, plan, source)))
    }
    expect(planned([{ paths: "*" }])).toMatchObject({ _tag: "Right" })
    expect(planned([{ paths: "mian.0.*", fate: "freeze" }, { paths: "*" }, { paths: "main.3.*" }])).toMatchObject({
      left: {
        _tag: "BadPlan",
        message: expect.stringMatching(/^generator: rule 1, mian\.0\.\*, covers no path.*; generator: rule 3, main\.3/),
      },
    })
  })

  test("the documented plan and its schema are what is read", () => {
    const docs = new URL("../../../../docs/", import.meta.url)
    const [, yaml = ""] = /```yaml\n([\s\S]*?)```/.exec(readFileSync(new URL("plans.md", docs), "utf8")) ?? []
    const plan = Failure.orThrow(Plan.parse(yaml))
    const target = Gan.of(GpGan.Config.parse({ architecture: "gpgan", resolution: 64, nf: 2, z_dim: 3 }))
    const graft = Failure.orThrow(Graft.everyRuleCounts(plan, Failure.orThrow(Graft.prepare(target, plan, target))))
    const { generator, discriminator } = graft
    expect(generator.fates["resnet_3_1.conv_0.weight"]).toMatchObject({ moves: "modulated", value: "copied" })
    expect(generator.fates["resnet_3_1.small_adafm_0.style_gama"]).toMatchObject({ unfreezeAt: 1000, lr: 2 })
    expect(generator.fates["resnet_0_0.conv_0.weight"]).toMatchObject({ moves: "trainable", lr: 0.5 })
    expect(discriminator.fates["resnet_4_1.conv_1.bias"]).toMatchObject({ from: "resnet_4_1.conv_0.bias" })
    expect(discriminator.fates["conv_img.weight"]).toMatchObject({ moves: "frozen", unfreezeAt: 5000 })
    const schema: unknown = JSON.parse(readFileSync(new URL("plan.schema.json", docs), "utf8"))
    expect(schema).toEqual(JSON.parse(JSON.stringify(z.toJSONSchema(Plan.Plan, { io: "input" }))))
  })

  test("a rename takes what the wildcards matched", () => {
    const [rule] = Failure.orThrow(
      Plan.decode({
        generator: [{ paths: "b{x,y*}.conv_[01].*", rename: "old.$2.$1.$3" }],
        discriminator: [{ paths: "*" }],
      }),
    ).generator
    const find = Plan.find([rule!])
    expect(find("bx.conv_1.weight")?.from).toBe("old.1.x.weight")
    expect(find("byes.conv_0.bias")?.from).toBe("old.0.yes.bias")
    expect(find("bz.conv_0.bias")).toBeUndefined()
  })

  test.each([
    ["an unknown key", { generator: [{ paths: "*", frozen: true }], discriminator: [{ paths: "*" }] }],
    [
      "an unfreezeAt of what trains anyway",
      { generator: [{ paths: "*", unfreezeAt: 3 }], discriminator: [{ paths: "*" }] },
    ],
    [
      "a learning rate of what never moves",
      { generator: [{ paths: "*", fate: "freeze", lr: 2 }], discriminator: [{ paths: "*" }] },
    ],
    [
      "a renamed fresh start",
      { generator: [{ paths: "*", value: "fresh", rename: "x" }], discriminator: [{ paths: "*" }] },
    ],
    [
      "a range that runs backwards",
      { generator: [{ paths: "a[9-0]" }, { paths: "*" }], discriminator: [{ paths: "*" }] },
    ],
    ["no rule for a network", { generator: [{ paths: "*" }] }],
  ])("a plan with %s is refused", (_, plan) => {
    expect(Plan.decode(plan)).toMatchObject({ _tag: "Left", left: { _tag: "BadPlan" } })
  })
})
