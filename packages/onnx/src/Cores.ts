/** Physical cores: two threads on one core share its arithmetic, so one thread a core is the default everywhere. */
import { readFileSync } from "node:fs"
import { availableParallelism } from "node:os"

/** Distinct pairs of socket and core in Linux's `/proc/cpuinfo`; undefined where it names none (virtual machines, ARM). */
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

/** Cores that this process may use; where the system does not tell, its processors. */
export const physical = (): number => Math.min(inCpuinfo(cpuinfo()) ?? Number.POSITIVE_INFINITY, availableParallelism())
