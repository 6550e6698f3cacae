import { ChildProcess } from "node:child_process"
import { afterEach, expect, test, vi } from "vitest"
import * as CellQueue from "./CellQueue.ts"

afterEach(() => {
  vi.useRealTimers()
})

test("a worker is asked to stop only once, however long its checkpoint takes", async () => {
  vi.useFakeTimers()
  const child = new ChildProcess()
  const kill = vi.spyOn(child, "kill").mockReturnValue(true)
  let stop = false
  const code = CellQueue.ended(child, () => stop)
  vi.advanceTimersByTime(5000)
  expect(kill).not.toHaveBeenCalled()
  stop = true
  vi.advanceTimersByTime(5000)
  expect(kill.mock.calls).toEqual([["SIGTERM"]])
  child.emit("exit", 0)
  expect(await code).toBe(0)
  expect(vi.getTimerCount()).toBe(0)
})
