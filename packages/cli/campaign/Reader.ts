/** Reads files in another process, which is replaced after a crash and ended after a hang. */
import { type ChildProcess, fork } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Order } from "./Reading.ts"
import type * as Verdict from "./Verdict.ts"

const module = fileURLToPath(new URL("./Reading.ts", import.meta.url))

/** Seconds of the processor after which a reader of a few kilobytes hangs. */
const PATIENCE = 30
/** Seconds of the clock after which it hangs even if it does nothing, such as waiting for ever. */
const LONGEST = 600

/** Seconds of the processor that a process has taken, where the system tells: a busy machine is no hang. */
const taken = (child: ChildProcess): number | undefined => {
  try {
    const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")
    // user and system time, in hundredths of a second
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return undefined
  }
}

export type Ending = Verdict.Outcome | "crash" | "hang"

export interface Reader {
  readonly read: (order: Order) => Promise<Ending>
  readonly close: () => void
}

const started = (): Promise<ChildProcess> =>
  new Promise((resolve, reject) => {
    const child = fork(module, { execArgv: ["--import", "tsx"], stdio: ["ignore", "ignore", "ignore", "ipc"] })
    child.once("message", () => resolve(child))
    child.once("exit", (code) => reject(new Error(`the reading process does not start: exit code ${code}`)))
  })

export const open = (): Reader => {
  let child: ChildProcess | undefined
  const end = (): void => {
    child?.removeAllListeners()
    child?.kill("SIGKILL")
    child = undefined
  }
  return {
    close: end,
    read: async (order) => {
      child ??= await started()
      const reading = child
      reading.removeAllListeners()
      return new Promise((resolve) => {
        const give = (ending: Ending): void => {
          clearInterval(timer)
          if (typeof ending === "string") end()
          resolve(ending)
        }
        const [before, began] = [taken(reading) ?? 0, performance.now()]
        const timer = setInterval(() => {
          const seconds = (performance.now() - began) / 1000
          const worked = (taken(reading) ?? before + seconds) - before
          if (worked > PATIENCE || seconds > LONGEST) give("hang")
        }, 1000)
        reading.once("message", (outcome) => give(outcome as Verdict.Outcome))
        reading.once("exit", () => give("crash"))
        reading.send(order)
      })
    },
  }
}
