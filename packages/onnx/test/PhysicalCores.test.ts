import { availableParallelism } from "node:os"
import { expect, test } from "vitest"
import * as PhysicalCores from "../src/PhysicalCores.ts"

const processor = (id: number, socket: number, core: number): string =>
  `processor\t: ${id}\nmodel name\t: X\nphysical id\t: ${socket}\ncore id\t\t: ${core}\ncpu cores\t: 2\n`

test.each([
  { name: "two threads on each of two cores", text: [0, 1, 0, 1].map((core, i) => processor(i, 0, core)), cores: 2 },
  { name: "two sockets with cores of the same number", text: [processor(0, 0, 0), processor(1, 1, 0)], cores: 2 },
  { name: "a system that lists no cores", text: ["processor\t: 0\nBogoMIPS\t: 50.00\n"], cores: undefined },
])("$name", ({ text, cores }) => {
  expect(PhysicalCores.inCpuinfo(text.join("\n"))).toBe(cores)
})

test("there is at least one core, and no more cores than processors", () => {
  expect(PhysicalCores.count()).toBeGreaterThanOrEqual(1)
  expect(PhysicalCores.count()).toBeLessThanOrEqual(availableParallelism())
})
