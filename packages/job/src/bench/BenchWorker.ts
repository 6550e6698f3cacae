/** A process with one engine and one workload, so that its memory is that engine's. It runs an iteration for every message. */
import { Failure, Flat } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import type { Engines } from "@adafm/engine"
import { TrainingLoop } from "@adafm/gan"
import * as Doctor from "../verbs/Doctor.ts"
import * as Workload from "./Workload.ts"

export interface Order {
  readonly workload: Workload.Workload
  readonly choice: Engines.Choice
  readonly stepsPerCall?: number
}

export type Message =
  | { readonly kind: "ready"; readonly provider: string | null; readonly compileMs: number }
  | { readonly kind: "ran"; readonly ms: number; readonly peakRssMb: number }
  | { readonly kind: "failed"; readonly reason: string }

const send = (message: Message): void => {
  process.send?.(message)
}

/** The highest resident memory of this process so far, in MB. */
const peakRssMb = (): number => process.resourceUsage().maxRSS / 1024

const open = async ({ workload, choice, stepsPerCall }: Order): Promise<() => Promise<void>> => {
  const engine = await Failure.orThrow(Doctor.engine(choice))
  const { step, state, inputs } = await Workload.prepare(workload)
  const spec = ({ shape, dtype }: Engine.Arrays[string]): Engine.Spec => ({ shape, dtype })
  const before = performance.now()
  const program = await engine.compile(step, { state: Flat.map(state, spec), batch: Flat.map(inputs, spec) })
  program.write(state)
  send({ kind: "ready", provider: engine.provider ?? null, compileMs: performance.now() - before })
  const steps = stepsPerCall ?? (engine.name === "onnx" && workload.mode === "train" ? TrainingLoop.perCall(state) : 1)
  return async () => {
    const began = performance.now()
    if (steps === 1) await program.run(inputs)
    else await program.runAll(Array<Engine.Arrays>(steps).fill(inputs))
    send({ kind: "ran", ms: (performance.now() - began) / steps, peakRssMb: peakRssMb() })
  }
}

const [order] = process.argv.slice(2)
let run: (() => Promise<void>) | undefined
const failed = (thrown: unknown): void =>
  send({ kind: "failed", reason: thrown instanceof Error ? thrown.message : String(thrown) })

process.on("message", () => {
  run?.().catch(failed)
})
open(JSON.parse(order!) as Order).then((ready) => {
  run = ready
}, failed)
