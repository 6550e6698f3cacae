/** The worker: reading, training and sampling happen here, so that the page stays responsive. */
import { Failure } from "@adafm/core"
import type { Call, Calls, News, Reply, Request } from "../protocol/Protocol.ts"
import * as EngineChoice from "./EngineChoice.ts"
import * as Photographs from "./Photographs.ts"
import * as Playing from "./Playing.ts"
import * as Runs from "./Runs.ts"
import * as Sources from "./Sources.ts"
import * as Takeaways from "./Takeaways.ts"
import * as Training from "./Training.ts"

type Answers = { readonly [K in Call]: (...given: Parameters<Calls[K]>) => Promise<ReturnType<Calls[K]>> }

const post = (reply: Reply, handed: Transferable[] = []): void => self.postMessage(reply, { transfer: handed })

/** The buffers of pictures and files in an answer, which are handed over instead of copied. */
const buffers = (value: unknown): ArrayBuffer[] => {
  if (value instanceof Uint8Array || value instanceof Uint8ClampedArray)
    return value.buffer instanceof ArrayBuffer ? [value.buffer] : []
  if (Array.isArray(value)) return value.flatMap(buffers)
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(buffers) : []
}

const tell = (news: News): void => post({ kind: "news", news }, [...new Set(buffers(news))])

const answers: Answers = {
  start: async (given) => {
    const engine = await EngineChoice.open(given)
    return { engine, runs: await Runs.list(), sources: await Sources.list() }
  },
  addPhotographs: Photographs.add,
  photographs: Photographs.read,
  addSource: Sources.add,
  addRun: Runs.add,
  zip: Takeaways.zip,
  plan: Training.plan,
  train: (job) => Training.run(job, tell),
  stop: async () => {
    Training.stop()
    return undefined
  },
  runs: Runs.list,
  removeRun: Runs.remove,
  grid: Runs.grid,
  lines: Runs.lines,
  open: Playing.open,
  look: Playing.look,
  nearest: Playing.nearest,
  take: Takeaways.make,
}

self.onmessage = async ({ data: { id, call, given } }: MessageEvent<Request>): Promise<void> => {
  try {
    const value = await (answers[call] as (...given: readonly unknown[]) => Promise<unknown>)(...given)
    post({ kind: "result", id, value }, [...new Set(buffers(value))])
  } catch (thrown) {
    post({ kind: "failure", id, failure: Failure.fromThrown(thrown) })
  }
}
