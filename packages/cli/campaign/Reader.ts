/** Reads files in another process, which is replaced after a crash and ended after a hang. */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Order } from "./Reading.ts"
import type * as Verdict from "./Verdict.ts"

const module = fileURLToPath(new URL("./Reading.ts", import.meta.url))

/** Seconds after which a reader of a few kilobytes hangs. */
const PATIENCE = 60

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
          clearTimeout(timer)
          if (typeof ending === "string") end()
          resolve(ending)
        }
        const timer = setTimeout(() => give("hang"), 1000 * PATIENCE)
        reading.once("message", (outcome) => give(outcome as Verdict.Outcome))
        reading.once("exit", () => give("crash"))
        reading.send(order)
      })
    },
  }
}
