/** How much memory a traced step needs, estimated before it runs. */
import type { Program, Value } from "./Ir.ts"
import * as Ir from "./Ir.ts"

export interface MemoryEstimate {
  /** Bytes of the state that the step reads. */
  readonly state: number
  /** Peak bytes of the intermediate values of a call. */
  readonly working: number
}

const bytes = ({ shape, dtype }: Value): number => Ir.size(shape) * (dtype === "bool" ? 1 : 4)

/** The value whose memory this one uses: a reshape shares the memory of its input. */
const owner = (v: Value): Value => (Ir.isOp(v, "Reshape") ? owner(v.inputs[0]!) : v)

const depths = (values: readonly Value[]): ReadonlyMap<Value, number> => {
  const depth = new Map<Value, number>()
  for (const v of values)
    depth.set(v, v.kind === "op" ? 1 + v.inputs.reduce((most, x) => Math.max(most, depth.get(x)!), 0) : 0)
  return depth
}

/**
 * Walks the values in the order in which they run (the shallowest results first, see `lower/Schedule.ts`) and keeps each alive until its last use. The
 * workspaces of single operators are not counted.
 */
export const of = (program: Program): MemoryEstimate => {
  const results = [...Object.values(program.state), ...Object.values(program.stats)]
  const depth = depths(Ir.reachable(results))
  const order = Ir.reachable(results.toSorted((a, b) => depth.get(b)! - depth.get(a)!))
  const last = new Map<Value, number>()
  for (const [at, v] of order.entries()) if (v.kind === "op") for (const x of v.inputs) last.set(owner(x), at)
  const kept = new Set<Value>(Object.values(program.state))
  const isOwn = (v: Value): boolean => v.kind === "op" && owner(v) === v && !kept.has(v)
  const ends = new Map<number, Value[]>()
  for (const v of order.filter(isOwn)) {
    const at = last.get(v) ?? order.length
    ends.set(at, [...(ends.get(at) ?? []), v])
  }
  let [now, working] = [0, 0]
  for (const [at, v] of order.entries()) {
    if (isOwn(v)) now += bytes(v)
    working = Math.max(working, now)
    for (const gone of ends.get(at) ?? []) now -= bytes(gone)
  }
  const state = order.reduce((sum, v) => sum + (v.kind === "input" && v.role === "state" ? bytes(v) : 0), 0)
  return { state, working }
}
