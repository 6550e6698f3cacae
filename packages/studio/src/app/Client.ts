/** The page's side of a worker. */
import { Failure } from "@adafm/core"
import type { Call, Calls, News, Reply, Request } from "../protocol/Protocol.ts"

export interface Client {
  readonly call: <K extends Call>(call: K, ...given: Parameters<Calls[K]>) => Promise<ReturnType<Calls[K]>>
  readonly end: () => void
}

interface Pending {
  readonly resolve: (value: never) => void
  readonly reject: (thrown: unknown) => void
}

/** @param onNews what a training tells @param onEnd called when the worker ends by itself, for example for lack of memory */
export const open = (onNews: (news: News) => void, onEnd: (failure: Failure.Failure) => void): Client => {
  const worker = new Worker(new URL("../worker/Worker.ts", import.meta.url), { type: "module" })
  const waiting = new Map<number, Pending>()
  let count = 0
  worker.onmessage = ({ data }: MessageEvent<Reply>) => {
    if (data.kind === "news") return onNews(data.news)
    const pending = waiting.get(data.id)
    waiting.delete(data.id)
    if (data.kind === "result") pending?.resolve(data.value as never)
    else pending?.reject(new Failure.Raised(data.failure))
  }
  worker.onerror = (event) => {
    const failure = Failure.make("WorkerEnded", event.message || "the worker ended unexpectedly")
    for (const { reject } of waiting.values()) reject(new Failure.Raised(failure))
    waiting.clear()
    onEnd(failure)
  }
  return {
    call: (call, ...given) =>
      new Promise((resolve, reject) => {
        const id = ++count
        waiting.set(id, { resolve, reject })
        worker.postMessage({ id, call, given } satisfies Request)
      }),
    end: () => worker.terminate(),
  }
}
