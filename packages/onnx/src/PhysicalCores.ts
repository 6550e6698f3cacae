/** Physical cores. Two threads on one core share its arithmetic units, so the default everywhere is one thread per core. */
import { readFileSync } from "node:fs"
import { availableParallelism } from "node:os"

/** Number of cores in the text of Linux's `/proc/cpuinfo`; undefined where it lists none (virtual machines, ARM). */
export const inCpuinfo = (text: string): number | undefined => {
  const cores = new Set<string>()
  for (const processor of text.split(/\n\s*\n/)) {
    const field = (name: string): string | undefined => new RegExp(`^${name}\\s*:\\s*(\\d+)`, "m").exec(processor)?.[1]
    const core = field("core id")
    if (core !== undefined) cores.add(`${field("physical id") ?? 0} ${core}`)
  }
  return cores.size === 0 ? undefined : cores.size
}

const cpuinfo = (): string => {
  try {
    return readFileSync("/proc/cpuinfo", "utf8")
  } catch {
    return ""
  }
}

/** Number of cores that this process may use, or of its processors where the system does not list cores. */
export const count = (): number => Math.min(inCpuinfo(cpuinfo()) ?? Number.POSITIVE_INFINITY, availableParallelism())
