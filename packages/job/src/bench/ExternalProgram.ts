/**
 * Another program, in any language, that runs the same work. It is started as `COMMAND '{"size": 32, …}'`, with a workload and the
 * number of threads. When it is ready it prints `{"name": …, "version": …}`. For every line that it then reads from stdin, it runs
 * one iteration and prints `{"ms": …, "peak_rss_mb": …}`.
 */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { Failure } from "@adafm/core"
import { z } from "zod"
import type * as Workload from "./Workload.ts"

const Ready = z.looseObject({ name: z.string(), version: z.string().optional() })
const Ran = z.looseObject({ ms: z.number().positive(), peak_rss_mb: z.number().nonnegative() })

export interface ExternalProgram {
  readonly name: string
  readonly run: () => Promise<{ readonly ms: number; readonly peakRssMb: number }>
  readonly stop: () => void
}

/** @param command is split at spaces; its stderr goes to ours */
export const start = async (
  command: string,
  order: Workload.Workload & { readonly threads: number },
): Promise<ExternalProgram> => {
  const [file = "", ...args] = command.split(" ").filter((word) => word !== "")
  const child = spawn(file, [...args, JSON.stringify(order)], { stdio: ["pipe", "pipe", "inherit"] })
  const fail = (reason: string): never => Failure.raise("ComparatorFailed", `${command}: ${reason}`)
  const ended = new Promise<never>((_, reject) => {
    const end = (reason: string): void =>
      reject(new Failure.Raised(Failure.make("ComparatorFailed", `${command}: ${reason}`)))
    child.on("error", ({ message }) => end(message))
    child.on("exit", (code, signal) => end(`the program ended (${signal ?? `code ${code}`})`))
  })
  ended.catch(() => {})
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const nextLine = async <A>(schema: z.ZodType<A>, expected: string): Promise<A> => {
    const { value } = await Promise.race([lines.next(), ended])
    if (value === undefined) return ended
    try {
      return schema.parse(JSON.parse(value))
    } catch {
      return fail(`expected a line ${expected}, found ${value}`)
    }
  }
  const { name, version } = await nextLine(Ready, '{"name": …}')
  return {
    name: version === undefined ? name : `${name} ${version}`,
    run: async () => {
      child.stdin.write("\n")
      const { ms, peak_rss_mb } = await nextLine(Ran, '{"ms": …, "peak_rss_mb": …}')
      return { ms, peakRssMb: peak_rss_mb }
    },
    stop: () => void child.kill(),
  }
}
