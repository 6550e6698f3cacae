/** Engines that run a step kernel by kernel on an ordinary TensorFlow.js backend: the reference and the fallback. */
import { Flat, NdArray } from "@adafm/core"
import * as KernelGradients from "@adafm/core/optimise/KernelGradients"
import * as tf from "@tensorflow/tfjs-core"
import type { Arrays, Engine, Program, Step } from "../Engine.ts"

const toTensor = ({ data, shape, dtype }: Arrays[string]): tf.Tensor => tf.tensor(data, [...shape], dtype)

const program = (backend: string, step: Step, declared: Flat.Flat<unknown>): Program => {
  let state: Record<string, tf.Tensor> = {}
  const host = async (t: tf.Tensor): Promise<Arrays[string]> => {
    const data = await t.data()
    return t.dtype === "int32"
      ? NdArray.int32(t.shape, data as Int32Array)
      : NdArray.float32(t.shape, data as Float32Array)
  }
  const copyOut = async (tensors: Flat.Flat<tf.Tensor>): Promise<Arrays> =>
    Flat.fromEntries(
      await Promise.all(Object.entries(tensors).map(async ([path, t]) => [path, await host(t)] as const)),
    )
  const run: Program["run"] = async (batch) => {
    tf.setBackend(backend)
    const missing = Object.keys(declared).find((path) => state[path] === undefined)
    if (missing !== undefined) throw new Error(`state ${missing} is missing: write it before the first run`)
    KernelGradients.register()
    const returned = tf.tidy(() => {
      const { state: next = {}, stats } = step(state, Flat.map(batch, toTensor))
      // clones, so that a tensor that is returned twice, or passed through, can be disposed once for each name
      return { next: Flat.map(next, (t) => tf.clone(t)), stats: Flat.map(stats, (t) => tf.clone(t)) }
    })
    for (const path of Object.keys(returned.next)) state[path]?.dispose()
    state = { ...state, ...returned.next }
    const stats = await copyOut(returned.stats)
    for (const t of Object.values(returned.stats)) t.dispose()
    return stats
  }
  return {
    write: (arrays) => {
      tf.setBackend(backend)
      for (const [path, array] of Object.entries(arrays)) {
        if (!(path in declared)) throw new Error(`the program has no state ${path}`)
        state[path]?.dispose()
        state[path] = toTensor(array)
      }
    },
    read: (paths = Object.keys(declared)) =>
      copyOut(
        Flat.fromEntries(
          paths.map((path) => {
            const t = state[path]
            if (t === undefined) throw new Error(`state ${path} was not written yet`)
            return [path, t] as const
          }),
        ),
      ),
    run,
    runAll: async (batches) => {
      const all: Arrays[] = []
      for (const batch of batches) all.push(await run(batch))
      return all
    },
    dispose: async () => {
      for (const t of Object.values(state)) t.dispose()
      state = {}
    },
  }
}

/** @param backend a TensorFlow.js backend that is registered and ready. */
export const engine = (name: Engine["name"], backend: string): Engine => ({
  name,
  compile: async (step, specs) => program(backend, step, specs.state),
})

export const cpu = async (): Promise<Engine> => {
  tf.enableProdMode()
  await import("@tensorflow/tfjs-backend-cpu")
  return engine("cpu", "cpu")
}
