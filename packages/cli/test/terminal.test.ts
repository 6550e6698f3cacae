/** Progress where stderr is not a terminal. */
import { afterEach, expect, test, vi } from "vitest"
import * as Terminal from "../src/Terminal.ts"

afterEach(() => void vi.restoreAllMocks())

test("the remaining time is known from the second call on: the steps of one call are reported together", () => {
  let now = 0
  vi.spyOn(performance, "now").mockImplementation(() => now)
  const said: string[] = []
  const terminal = Terminal.open({ out: async () => {}, err: (line) => void said.push(line) })
  const { update, stop } = terminal.progress("steps")
  for (const [at, from] of [
    [9_000, 1],
    [19_000, 9],
  ] as const) {
    now = at
    for (let step = from; step < from + 8; step++) update(step, 80)
    if (from === 1) stop()
  }
  // 8 steps in 10 s, 71 to go
  expect(said).toEqual(["steps 8/80\n", "steps 9/80, 89 s left\n"])
})

test("signals end the process as usual until the first step, and from then on ask it to stop: also the end of the terminal", () => {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const
  const before = signals.map((signal) => process.listenerCount(signal))
  const said: string[] = []
  const shouldStop = Terminal.open({ out: async () => {}, err: (line) => void said.push(line) }).heedInterrupts()
  expect(signals.map((signal) => process.listenerCount(signal))).toEqual(before)
  try {
    expect(shouldStop()).toBe(false)
    expect(signals.map((signal) => process.listenerCount(signal))).toEqual(before.map((n) => n + 1))
    process.emit("SIGHUP")
    expect(shouldStop()).toBe(true)
    expect(said.join("")).toMatch(/stopping after this step, with a checkpoint/)
  } finally {
    for (const signal of signals) process.removeListener(signal, process.listeners(signal).at(-1) as () => void)
  }
})
