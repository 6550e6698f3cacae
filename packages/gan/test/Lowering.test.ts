/** Properties of the compiled step of a whole GAN: layouts change only at its inputs, and losses share a chain of gradients. */
import { type Ema, Flat, NdArray, Optimizer } from "@adafm/core"
import type { Spec } from "@adafm/engine"
import * as Lower from "@adafm/engine/lower/Lower"
import * as Rewrite from "@adafm/engine/trace/Rewrite"
import * as Trace from "@adafm/engine/trace/Trace"
import { describe, expect, test } from "vitest"
import * as Gan from "../src/Gan.ts"
import * as State from "../src/training/State.ts"
import * as Step from "../src/training/Step.ts"

const gan = Gan.of(Gan.Config.parse({ architecture: "gpgan", resolution: 32, nf: 16, nf_max: 32, z_dim: 16 }))
const parameters = (net: Step.Net): readonly string[] =>
  Object.keys(Flat.filter(gan[net], (path, { role }) => role === "parameter" && path !== "embedding.weight"))
const setup: Step.Setup = {
  gan,
  batchSize: 16,
  optimizer: { generator: Optimizer.adam, discriminator: Optimizer.adam },
  penalty: { mode: "real", weight: 10 },
  ema: { decay: 0.999, ramp: false } satisfies Ema.Ema,
  trainable: {
    generator: [{ name: "all", paths: parameters("generator"), from: 0 }],
    discriminator: [{ name: "all", paths: parameters("discriminator"), from: 0 }],
  },
}
const zeros = (net: Step.Net): State.Params => Flat.map(gan[net], ({ shape }) => NdArray.zeros("float32", shape))
const state = State.initial(setup, { generator: zeros("generator"), discriminator: zeros("discriminator") })
const batch: Flat.Flat<Spec> = {
  x: { shape: [16, 32, 32, 3], dtype: "float32" },
  z: { shape: [16, 16], dtype: "float32" },
  ...Flat.map(Step.schedule(setup, 0), () => ({ shape: [], dtype: "float32" as const })),
}
const traced = Trace.step(Step.make(setup, 0), { state: State.specs(state, {}).state, batch })

type Node = NonNullable<ReturnType<typeof Lower.program>["graph"]["node"]>[number]
const permOf = (node: Node): string => (node.attribute?.find((a) => a.name === "perm")?.ints ?? []).join()
const count = (nodes: readonly Node[], keep: (node: Node) => boolean): number => nodes.filter(keep).length

describe("the compiled step of a GAN", () => {
  test.each([
    { name: "plain NCHW", target: { block: undefined, contrib: false } },
    { name: "blocked", target: { block: 16, contrib: true } },
  ])("$name: only input images change their layout; there is no transposition between convolutions", ({ target }) => {
    const { graph } = Lower.program(Rewrite.program(traced), target)
    const nodes = graph.node!
    // NHWC → NCHW once, for the real images; the fakes are computed in NCHW
    expect(count(nodes, (n) => n.opType === "Transpose" && permOf(n) === "0,3,1,2")).toBe(1)
    expect(count(nodes, (n) => n.opType === "Transpose" && permOf(n) === "0,2,3,1")).toBe(0)
  })

  test("one chain of gradients through D serves the losses and the penalty", () => {
    const { graph } = Lower.program(Rewrite.program(traced), { block: undefined, contrib: true })
    // D has 18 convolutions: 1 + 8 blocks of 2 + 1 shortcut that changes the number of channels (16 → 32).
    // reals: forward, gradient chain, tangent; fakes: forward, gradient chain. G has 18 too: forward and gradient chain.
    const convolutions = count(graph.node!, (n) => n.opType === "Conv")
    const [d, g] = [18, 18]
    expect(convolutions).toBeLessThanOrEqual(3 * d + 2 * d + 2 * g)
  })

  test("rewriting keeps every path of state and stats", () => {
    const rewritten = Rewrite.program(traced)
    expect(Object.keys(rewritten.state).sort()).toEqual(Object.keys(traced.state).sort())
    expect(Object.keys(rewritten.stats).sort()).toEqual(Object.keys(traced.stats).sort())
  })
})
