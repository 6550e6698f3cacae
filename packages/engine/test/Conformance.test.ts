/**
 * Compares value, gradient and second gradient of every operation on every engine with a float64 evaluation of the traced step;
 * central differences in float64 check the derivatives of that evaluation. Writes docs/conformance.md.
 */
import * as KernelGradients from "@adafm/core/optimise/KernelGradients"
import { Close } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as Eager from "../src/backends/Eager.ts"
import * as Onnx from "../src/backends/Onnx.ts"
import * as TensorFlow from "../src/backends/TensorFlow.ts"
import * as Wasm from "../src/backends/Wasm.ts"
import type { Engine } from "../src/Engine.ts"
import * as Kernels from "../src/trace/Kernels.ts"
import * as Trace from "../src/trace/Trace.ts"
import * as Case from "./conformance/Case.ts"
import * as Cases from "./conformance/cases/index.ts"
import * as Differences from "./conformance/Differences.ts"
import type { Point } from "./conformance/Oracle.ts"
import * as Oracle from "./conformance/Oracle.ts"
import type { Numbers } from "./conformance/StructuredOps.ts"
import * as Table from "./conformance/Table.ts"

const tolerances = { engine: 1e-5, derivative: 1e-6, own: 1e-7 } as const
const kinds = ["value", "gradient", "second"] as const

/** Kernels in the table that no function of TensorFlow.js 4.22 calls. */
const unreachable: Readonly<Record<string, string>> = {
  AddV2: "the name of `Add` in models saved from Python",
  BroadcastTo: "`tf.broadcastTo` calls `Tile`",
  LogSoftmax: "`tf.logSoftmax` is composed of other kernels",
}

const engines: Record<string, Engine> = {}
const rows: Table.Row[] = []
const references = new Map<Case.Case, Readonly<Record<string, Numbers>>>()

/** For every kernel that a traced step calls, the cases that call it. */
const called = new Map<string, Set<Case.Case>>()
let tracing: Case.Case | undefined
const observed = (tf.getKernelsForBackend("adafm-trace") ?? []).map((config): tf.KernelConfig => {
  const kernelFunc: tf.KernelFunc = (params) => {
    if (tracing !== undefined) called.set(config.kernelName, (called.get(config.kernelName) ?? new Set()).add(tracing))
    return config.kernelFunc(params)
  }
  return { ...config, kernelFunc }
})

const traced = (c: Case.Case) => {
  tracing = c
  try {
    return Trace.step(Case.derivatives(c), Case.specs(c)).stats
  } finally {
    tracing = undefined
  }
}

/** Errors of an engine by tensor, relative to the tensor's largest value. */
const errorsOf = async (engine: Engine, c: Case.Case): Promise<Readonly<Record<string, number>>> => {
  const program = await engine.compile(Case.derivatives(c), Case.specs(c))
  program.write(Case.stateOf(c))
  const stats = await program.run(Case.batchOf(c))
  await program.dispose()
  return Object.fromEntries(
    Object.entries(references.get(c)!).map(([path, expected]) => [
      path,
      Close.relative(stats[path]!.data as ArrayLike<number>, expected),
    ]),
  )
}
const expectSmall = (errors: Readonly<Record<string, number>>, where: string): void => {
  for (const [path, error] of Object.entries(errors))
    expect.soft(error, `${where}: ${path}`).toBeLessThan(tolerances.engine)
}

beforeAll(async () => {
  for (const config of observed) {
    tf.unregisterKernel(config.kernelName, config.backendName)
    tf.registerKernel(config)
  }
  engines["onnx, blocked"] = await Onnx.create({ threads: 1 })
  engines["onnx, plain"] = await Onnx.create({ threads: 1, blocked: false })
  engines.wasm = await Wasm.create()
  engines.cpu = await Eager.cpu()
  // one more provider, such as a GPU's: ADAFM_PROVIDER=webgpu
  const provider = process.env.ADAFM_PROVIDER
  if (provider !== undefined) engines[`onnx, ${provider}`] = await Onnx.create({ provider })
})

describe.each(Object.entries(Cases.groups))("%s", (group, cases) => {
  test.each(cases.map((c) => [Case.title(c), c] as const))("%s", async (_, c) => {
    const stats = traced(c)
    const point: Point = Object.fromEntries(
      Object.entries(Case.arrays(c)).map(([name, { data }]) => [name, Float64Array.from(data)]),
    )
    const values = Oracle.evaluator(Object.values(stats))(point)
    const reference = Object.fromEntries(Object.entries(stats).map(([name, v]) => [name, values.get(v)!]))

    if (Case.order(c) > 0 && c.surrogate !== true) {
      const given = (kind: "gradient" | "second"): Point =>
        Object.fromEntries(Case.variables(c).map((name) => [name, reference[`${kind} ${name}`]!]))
      const found = Differences.disagreement(stats.value!, point, {
        gradient: given("gradient"),
        ...(Case.order(c) === 2 && { second: given("second") }),
      })
      expect(found.own, "the error of the differences themselves").toBeLessThan(tolerances.own)
      expect(found.gradient, "the gradient, compared with differences").toBeLessThan(tolerances.derivative)
      expect(found.second, "the second gradient, compared with differences").toBeLessThan(tolerances.derivative)
    }

    references.set(c, reference)
    const passed: Record<string, readonly boolean[]> = {}
    for (const [name, engine] of Object.entries(engines)) {
      const errors = await errorsOf(engine, c)
      passed[name] = kinds
        .map((kind) => Object.entries(errors).filter(([path]) => path.startsWith(kind)))
        .filter((of) => of.length > 0)
        .map((of) => of.every(([, error]) => error < tolerances.engine))
      expectSmall(errors, name)
    }
    rows.push({ group, case: c, passed })
  })
})

const all = Object.values(Cases.groups).flat()

test.each(all.filter((c) => c.order === 0 && Case.variables(c).length > 0).map((c) => [Case.title(c), c] as const))(
  "the error names the gradient that does not exist: %s",
  (_, c) => {
    const failure = expect.objectContaining({ _tag: "UnsupportedGradient" })
    expect(() => Trace.step(Case.derivatives(c, 1), Case.specs(c))).toThrow(expect.objectContaining({ failure }))
  },
)

test("every kernel that a step may call, and every gradient, occurs in a case", () => {
  const uncalled = Object.keys(Kernels.table).filter((name) => !called.has(name))
  expect(uncalled.sort()).toEqual(Object.keys(unreachable).sort())
  const undifferentiated = Object.keys(KernelGradients.rules).filter(
    (name) => ![...(called.get(name) ?? [])].some((c) => Case.order(c) === 2),
  )
  expect(undifferentiated).toEqual([])
})

test("the table in the documentation is the measured one", async () => {
  const names = [...called.keys()].sort()
  const inTwice = (name: string): boolean => [...called.get(name)!].some((c) => Case.order(c) === 2)
  const hasRule = names.filter((name) => name in KernelGradients.rules)
  const inside = names.filter((name) => !(name in KernelGradients.rules) && inTwice(name))
  const page = Table.page(
    rows,
    ["onnx, blocked", "onnx, plain", "wasm", "cpu"],
    {
      covered: {
        "Differentiated twice, each by its own rule": hasRule,
        "Differentiated twice inside the operations of `Ops`, or constant": inside,
        "Values only": names.filter((name) => !(name in KernelGradients.rules) && !inTwice(name)),
      },
      unreachable,
    },
    tolerances,
  )
  await expect(page).toMatchFileSnapshot("../../../docs/conformance.md")
})

test("gradients that other code registers later do not replace these", async () => {
  const c = all.find(({ name }) => name === "tanh")!
  const throughOutput: tf.GradFunc = (dy, saved) => ({
    x: () => tf.mul(dy as tf.Tensor, tf.sub(1, tf.square(saved[0]!))),
  })
  for (const name of ["onnx, plain", "cpu"]) {
    tf.registerGradient({ kernelName: tf.Tanh, outputsToSave: [true], gradFunc: throughOutput })
    expectSmall(await errorsOf(engines[name]!, c), name)
  }
})

// last, because it loads all of TensorFlow.js into this process
test("the tensorflow engine, if its binary is installed, passes all cases too", async ({ skip }) => {
  const native = await TensorFlow.create()
  if ("reason" in native) return skip(native.reason)
  for (const c of all) expectSmall(await errorsOf(native, c), Case.title(c))
})
