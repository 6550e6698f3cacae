/** Worker threads that preprocess images. A browser has another `PreprocessingThreads`. */
import { availableParallelism } from "node:os"
import { Failure } from "@adafm/core"
import * as WorkerThread from "@adafm/core/platform/WorkerThread"
import * as Preprocessing from "./Preprocessing.ts"

/** Half of the processors; the network uses the others. */
const THREADS = Math.min(8, Math.max(1, availableParallelism() >> 1))

export interface Request {
  readonly id: number
  readonly job: Preprocessing.Job
}
export type Reply =
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly id: number; readonly result: Preprocessing.Preprocessed }
  | { readonly kind: "thrown"; readonly id: number; readonly failure: Failure.Failure }

interface Pending {
  readonly job: Preprocessing.Job
  readonly resolve: (result: Preprocessing.Preprocessed | Promise<Preprocessing.Preprocessed>) => void
  readonly reject: (thrown: unknown) => void
}

/** A worker thread and its unfinished jobs. */
const spawn = () => {
  const worker = WorkerThread.start("./PreprocessingWorker", import.meta.url)
  const waiting = new Map<number, Pending>()
  let state: "starting" | "ready" | "gone" = "starting"
  let [next, settled] = [0, (_: unknown): void => undefined]
  const ready = new Promise((resolve) => {
    settled = resolve
  })
  const finished = (id: number): Pending => {
    const pending = waiting.get(id)!
    waiting.delete(id)
    if (waiting.size === 0) worker.unref()
    return pending
  }
  worker.on("message", (reply: Reply) => {
    if (reply.kind === "done") finished(reply.id).resolve(reply.result)
    else if (reply.kind === "thrown") finished(reply.id).reject(new Failure.Raised(reply.failure))
    else {
      state = "ready"
      settled(undefined)
    }
  })
  const retire = (): void => {
    state = "gone"
    settled(undefined)
    for (const { job, resolve } of waiting.values()) resolve(Preprocessing.run(job))
    waiting.clear()
  }
  worker.on("error", retire).on("exit", retire).unref()
  return {
    /** Keeps the process alive while the thread starts, which a thread without work does not. */
    ready: async () => {
      worker.ref()
      await ready
      if (waiting.size === 0) worker.unref()
      return state === "ready"
    },
    load: () => (state === "ready" ? waiting.size : Number.POSITIVE_INFINITY),
    run: (job: Preprocessing.Job): Promise<Preprocessing.Preprocessed> =>
      new Promise((resolve, reject) => {
        worker.ref()
        waiting.set(next, { job, resolve, reject })
        worker.postMessage({ id: next++, job } satisfies Request)
      }),
    stop: () => worker.terminate(),
  }
}

export const open = (threads = THREADS): Preprocessing.Preprocessing => {
  let workers: readonly ReturnType<typeof spawn>[] | undefined
  const started = () => {
    workers ??= Array.from({ length: threads }, spawn)
    return workers
  }
  return {
    run: (job) => {
      const idlest = started().reduce((a, b) => (b.load() < a.load() ? b : a))
      return Number.isFinite(idlest.load()) ? idlest.run(job) : Preprocessing.run(job)
    },
    ready: async () => (await Promise.all(started().map(({ ready }) => ready()))).filter(Boolean).length,
    close: async () => {
      await Promise.all((workers ?? []).map(({ stop }) => stop()))
    },
  }
}
