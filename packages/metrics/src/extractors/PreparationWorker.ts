/** The thread of `Preparation`: one image is decoded, by libuv's threads, while this one resizes another. */
import { parentPort } from "node:worker_threads"
import { Failure } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import * as Preparation from "./Preparation.ts"

const answer = (message: Preparation.Answer, buffers: readonly ArrayBufferLike[] = []): void =>
  parentPort?.postMessage(message, buffers as ArrayBuffer[])

const work = async ({ id, job }: Preparation.Order): Promise<void> => {
  try {
    const prepared = await Preparation.prepare(job)
    answer(
      { kind: "prepared", id, prepared },
      E.isRight(prepared.inputs) ? prepared.inputs.right.map(({ buffer }) => buffer) : [],
    )
  } catch (thrown) {
    answer({ kind: "thrown", id, failure: Failure.fromThrown(thrown) })
  }
}

/** No more: photographs of a camera take 100 MB each. */
const lanes = [Promise.resolve(), Promise.resolve()]
let turn = 0
parentPort?.on("message", (order: Preparation.Order) => {
  const lane = turn++ % lanes.length
  lanes[lane] = lanes[lane]!.then(() => work(order))
})
answer({ kind: "ready" })
