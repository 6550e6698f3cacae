/** An HDF5 file, read by range in a thread of its own. The calls wait for the thread's answer, but not longer than a limit. */
import { cpuUsage } from "node:process"
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from "node:worker_threads"
import { Failure } from "@adafm/core"
import * as WorkerThread from "@adafm/core/platform/WorkerThread"
import type * as ByteSource from "../ByteSource.ts"
import type * as Messages from "./Hdf5Messages.ts"

/**
 * Milliseconds that a file may take, and for each of its megabytes more; a damaged file can keep the library busy for ever. Time of
 * the processor counts, so that a busy machine makes no whole file a damaged one, and a wait of four times as long.
 */
const LIMIT = { file: 2000, megabyte: 50, wait: 4 }
/** Milliseconds until a new thread has loaded the library. */
const START = 180_000

interface Thread {
  readonly worker: Worker
  readonly port: MessagePort
  readonly asking: Int32Array
  readonly reading: Int32Array
  /** Which file it has open. */
  open: object | undefined
}

let thread: Thread | undefined

const stop = (): void => {
  void thread?.worker.terminate()
  thread = undefined
}

const send = ({ port, reading }: Thread, message: unknown): void => {
  port.postMessage(message)
  Atomics.add(reading, 0, 1)
  Atomics.notify(reading, 0)
}

/** The next message of the thread; undefined once the time is over. */
const receive = ({ port, asking }: Thread, isOver: () => boolean): Messages.Reply | undefined => {
  for (;;) {
    const seen = Atomics.load(asking, 0)
    const received = receiveMessageOnPort(port)
    if (received !== undefined) return received.message as Messages.Reply
    if (isOver()) return undefined
    Atomics.wait(asking, 0, seen, 100)
  }
}

/** Milliseconds since it was made: of the clock, and of the processor for all threads. */
const stopwatch = (): (() => { readonly waited: number; readonly computed: number }) => {
  const [begin, used] = [performance.now(), cpuUsage()]
  return () => {
    const { user, system } = cpuUsage(used)
    return { waited: performance.now() - begin, computed: (user + system) / 1000 }
  }
}

const started = (): Thread => {
  if (thread !== undefined) return thread
  const { port1, port2 } = new MessageChannel()
  const signals = new SharedArrayBuffer(8)
  const worker = WorkerThread.start("./Hdf5Worker", import.meta.url, {
    workerData: { port: port2, signals },
    transferList: [port2],
    resourceLimits: { maxOldGenerationSizeMb: 512 },
    stderr: true,
    stdout: true,
  })
  worker.unref()
  port1.unref()
  worker.on("error", stop)
  const [asking, reading] = [new Int32Array(signals, 0, 1), new Int32Array(signals, 4, 1)]
  const made: Thread = { worker, port: port1, asking, reading, open: undefined }
  const time = stopwatch()
  if (receive(made, () => time().waited > START)?.kind !== "ready") {
    void worker.terminate()
    return Failure.raise("Hdf5Unavailable", "the reader of HDF5 files did not start")
  }
  thread = made
  return made
}

/** The bytes that the thread waits for. Where they cannot be read, the thread is given up: it would take the next request for them. */
const bytesFor = (
  source: ByteSource.Source,
  { begin, length }: { readonly begin: number; readonly length: number },
): Uint8Array => {
  try {
    return source.read(begin, length)
  } catch (thrown) {
    stop()
    throw thrown
  }
}

type Answer = Exclude<Messages.Reply, { readonly kind: "need" | "failed" | "ready" }>

interface Answered {
  readonly answer: Answer
  /** Milliseconds of the processor; at most those that passed, as other threads may compute too. */
  readonly spent: number
}

/** @param allowed milliseconds of the processor */
const ask = (to: Thread, source: ByteSource.Source, request: Messages.Request, allowed: number): Answered => {
  const time = stopwatch()
  const isOver = (): boolean => {
    const { waited, computed } = time()
    return waited > LIMIT.wait * allowed || Math.min(waited, computed) > allowed
  }
  send(to, request)
  for (;;) {
    const reply = receive(to, isOver)
    if (reply === undefined) {
      stop()
      return Failure.raise("BadHdf5", "the HDF5 library did not finish reading: the file is damaged", { offset: 0 })
    }
    if (reply.kind === "need") send(to, bytesFor(source, reply))
    else if (reply.kind === "failed") {
      // an aborted library is in an unknown state; one that has reported an error is not
      if (reply.isFatal) stop()
      else to.open = undefined
      return Failure.raise("BadHdf5", `the HDF5 library cannot read it: ${reply.message.slice(0, 300)}`, { offset: 0 })
    } else if (reply.kind !== "ready") {
      const { waited, computed } = time()
      return { answer: reply, spent: Math.min(waited, computed) }
    }
  }
}

export type Hdf5File = Messages.Hdf5File

const megabytes = (bytes: number): number => LIMIT.megabyte * (bytes / 2 ** 20)

export const open = (source: ByteSource.Source): Hdf5File => {
  const identity = {}
  const all = LIMIT.file + megabytes(source.size)
  /** What is left for all datasets together; each gives back the time of its size. */
  let left = all
  const listed = (): { readonly to: Thread; readonly entries: readonly Messages.Listed[] } => {
    const to = started()
    const { answer } = ask(to, source, { kind: "list", size: source.size }, all)
    if (answer.kind !== "listed") throw new Error("an answer to another request")
    to.open = identity
    return { to, entries: answer.entries }
  }
  const { entries } = listed()
  return {
    entries,
    read: (path) => {
      const to = thread?.open === identity ? thread : listed().to
      const { answer, spent } = ask(to, source, { kind: "read", path }, left)
      if (answer.kind !== "values") return Failure.raise("BadHdf5", "no values", { path })
      left = Math.min(all, left - spent + megabytes(answer.bytes.length) + 1)
      return answer.bytes
    },
  }
}
