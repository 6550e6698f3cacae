import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Flat, NdArray, Safetensors } from "@adafm/core"
import * as Onnx from "@adafm/engine/backends/Onnx"
import { Close, Shared } from "@adafm/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Replay from "../src/verbs/Replay.ts"

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-replay-"))
})
afterAll(() => rm(folder, { recursive: true }))

/** Share of the elements that may differ by more than `typical`, and the largest difference allowed, in |difference| / max(1, |value|). */
interface Limits {
  readonly typical: number
  readonly share: number
  readonly all: (iteration: number) => number
}

/** From the fixtures' README. */
const cases: readonly { readonly name: string; readonly fromStored: boolean; readonly limits: Limits }[] = [
  "g2d1-32",
  "scratch-32",
  "adafm-128",
].flatMap((name) => [
  { name, fromStored: false, limits: { typical: 5e-6, share: 0.01, all: (it: number) => 2e-4 * (it + 1) } },
  { name, fromStored: true, limits: { typical: 1e-6, share: 0.001, all: () => 2e-4 } },
])

describe.each(cases)("five recorded iterations of $name, from stored states: $fromStored", ({ name, ...given }) => {
  const relative = `fixtures/gpgan/trajectory.${name}.safetensors`

  test.skipIf(Shared.missing(relative))("are repeated by the onnx engine", async () => {
    const [file, out] = [Shared.path(relative)!, join(folder, "out.safetensors")]
    const engine = await Onnx.create({ threads: 1 })
    const { iterations } = await Failure.orThrow(Replay.run({ file, out, fromStored: given.fromStored }, engine))
    expect(iterations).toBe(5)
    const read = async (path: string) => Failure.orThrow(Safetensors.read(path))
    const [ours, theirs] = [await read(out), await read(file)]
    const nulls = Object.keys(JSON.parse(theirs.metadata.null_gradient!))
    const expected = Flat.filter(theirs.tensors, (path) => /^(after|loss)\//.test(path))
    expect(Object.keys(ours.tensors).sort()).toEqual(Object.keys(expected).sort())

    for (const [path, array] of Object.entries(expected)) {
      const [actual, wanted] = [ours.tensors[path]!, array].map((a) => NdArray.toFloat64(a).data)
      if (path.startsWith("loss/")) expect(Close.steps(actual!, wanted!)[0], path).toBeLessThan(1e-4)
      // Adam without momentum: m is the gradient, v its running square; only at equal parameters are they equal
      else if (given.fromStored && path.includes("_adam_") && !nulls.includes(path.split("/").at(-1)!))
        expect(Close.relative(actual!, wanted!), path).toBeLessThan(3e-4)
    }
    for (let it = 0; it < iterations; it++)
      for (const part of ["generator", "generator_ema", "discriminator"]) {
        const differences = Object.entries(Flat.under(expected, `after/${it}/${part}`)).flatMap(([path, { data }]) =>
          nulls.includes(path)
            ? []
            : [...Close.steps(ours.tensors[`after/${it}/${part}/${path}`]!.data as Float32Array, data as Float32Array)],
        )
        const { typical, share, all } = given.limits
        expect(differences.filter((d) => d > typical).length / differences.length).toBeLessThanOrEqual(share)
        expect(Math.max(...differences)).toBeLessThan(all(it))
      }
  })
})
