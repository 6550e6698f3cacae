/** The TensorBoard event file of a run, next to its other logs: `tensorboard --logdir runs` shows all runs in a folder. */
import { hostname } from "node:os"
import { join } from "node:path"
import { Disk, Files } from "@adafm/core"
import { EventFile } from "@adafm/report"
import * as Scorer from "./Scorer.ts"

export interface EventLog {
  /** Losses and the like of the iteration after which `done` are done; written with the next `flush`, or when many are waiting. */
  readonly stats: (done: number, stats: Readonly<Record<string, number>>) => void
  readonly score: (line: Scorer.Line) => void
  readonly grid: (step: number, png: Uint8Array) => void
  readonly flush: () => Promise<void>
}

/** Steps between two values of a curve: a chart has room for no more. */
const APART = 10
/** Events that are written together, so that TensorBoard shows a run while it lives. */
const AT_ONCE = 10

/** Opens a new file; TensorBoard drops from earlier files of the folder what is trained again, which is all after step `begun`. */
export const open = async (folder: string, begun: number): Promise<EventLog> => {
  const now = (): number => Date.now() / 1000
  await Files.folder(folder)
  const file = join(folder, EventFile.nameOf(now(), hostname(), `${process.pid}.${begun}`))
  const waiting: Uint8Array[] = []
  let written: Promise<void> = Promise.resolve()
  /** One after the other, so that events stay in order. */
  const flush = (): Promise<void> => {
    written = written.then(async () => {
      if (waiting.length > 0) await Disk.appendFile(file, Buffer.concat(waiting.splice(0)))
    })
    return written
  }
  const add = (event: EventFile.Event): void => void waiting.push(EventFile.record(event, now()))
  add({ kind: "version" })
  // from this step on; what belongs to the checkpoint stays
  add({ kind: "start", step: begun + 1 })
  const values = (step: number, all: readonly EventFile.Value[]): void => add({ kind: "values", step, values: all })
  return {
    stats: (done, stats) => {
      if (done % APART !== 0 && done !== begun + 1) return
      values(
        done,
        Object.entries(stats).map(([name, value]) => ({ kind: "scalar", tag: `training/${name}`, value })),
      )
      // what goes wrong here is reported by the next flush that is awaited
      if (waiting.length >= AT_ONCE) flush().catch(() => {})
    },
    score: (line) =>
      values(
        Number(line.step),
        Scorer.values(line).map(({ name, label, value }) => ({ kind: "scalar", tag: `scores/${name}`, value, label })),
      ),
    grid: (step, png) => values(step, [{ kind: "picture", tag: "samples", png }]),
    flush,
  }
}
