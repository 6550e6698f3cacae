/** A worker thread of `Preprocessing`: while it resizes one image, libuv's threads decode another. */
import { parentPort } from "node:worker_threads"
import { Failure } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import * as Preprocessing from "./Preprocessing.ts"
import type * as PreprocessingThreads from "./PreprocessingThreads.ts"

const reply = (message: PreprocessingThreads.Reply, buffers: readonly ArrayBufferLike[] = []): void =>
  parentPort?.postMessage(message, buffers as ArrayBuffer[])

const work = async ({ id, job }: PreprocessingThreads.Request): Promise<void> => {
  try {
    const result = await Preprocessing.run(job)
    reply({ kind: "done", id, result }, E.isRight(result.inputs) ? result.inputs.right.map(({ buffer }) => buffer) : [])
  } catch (thrown) {
    reply({ kind: "thrown", id, failure: Failure.fromThrown(thrown) })
  }
}

/** Two images at a time and no more: a decoded photograph takes 100 MB. */
const lanes = [Promise.resolve(), Promise.resolve()]
let turn = 0
parentPort?.on("message", (request: PreprocessingThreads.Request) => {
  const lane = turn++ % lanes.length
  lanes[lane] = lanes[lane]!.then(() => work(request))
})
reply({ kind: "ready" })
