/** The thread of `Preparation`: one image after the other. */
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

let last: Promise<void> = Promise.resolve()
parentPort?.on("message", (order: Preparation.Order) => {
  last = last.then(() => work(order))
})
answer({ kind: "ready" })
