import { execFileSync } from "node:child_process"
import { Failure, NdArray, Rng } from "@adafm/core"
import { Image } from "@adafm/data"
import * as E from "fp-ts/lib/Either.js"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Preprocessing from "../src/extractors/Preprocessing.ts"
import * as PreprocessingThreads from "../src/extractors/PreprocessingThreads.ts"
import * as Protocol from "../src/Protocol.ts"

/** 8-bit noise `[H, W, 3]`. */
const picture = (h: number, w: number, seed: number): Image.Rgb =>
  NdArray.make(
    "uint8",
    [h, w, 3],
    Uint8Array.from(Rng.uniform(Rng.at(seed, "test/preparation"), [h * w * 3], 0, 256).data),
  )
const job = (image: Image.Rgb, mode: Protocol.Mode, more: Partial<Preprocessing.Job> = {}): Preprocessing.Job => ({
  form: { kind: "rgb", shape: image.shape },
  bytes: image.data,
  protocol: Protocol.of(mode),
  input: [20, 24],
  ...more,
})

describe("worker threads", () => {
  const threads = PreprocessingThreads.open(2)
  let png: Uint8Array = new Uint8Array()
  beforeAll(async () => {
    expect(await threads.ready()).toBe(2)
    png = await Failure.orThrow(Image.png(picture(30, 40, 9)))
  })
  afterAll(threads.close)

  test("make the same bits as this thread for every form of image and every mode", async () => {
    const jobs = Protocol.MODES.flatMap((mode, i): readonly Preprocessing.Job[] => [
      job(picture(25 + i, 33, i), mode),
      job(picture(50, 33, i), mode, { fit: 16 }),
      job(picture(50, 33, i), mode, { fit: 16, draw: { seed: 3, index: i } }),
      job(picture(1, 1, 0), mode, { form: { kind: "file" }, bytes: png }),
      job(picture(1, 1, 0), mode, {
        form: { kind: "tensor", dtype: "float32", shape: [3, 8, 8] },
        bytes: NdArray.toBytes(Rng.uniform(Rng.at(i, "test/row"), [3, 8, 8], -1, 1)),
      }),
    ])
    const [there, here] = [await Promise.all(jobs.map(threads.run)), await Promise.all(jobs.map(Preprocessing.run))]
    expect(there).toEqual(here)
    expect(here.every(({ inputs }) => E.isRight(inputs))).toBe(true)
    expect(there.map(({ inputs }) => (E.isRight(inputs) ? inputs.right.length : 0))).toEqual(
      jobs.map(({ protocol }) => (protocol.scoreInput ? 2 : 1)),
    )
  })

  test("return a failure for a broken file, and continue", async () => {
    const broken = job(picture(1, 1, 0), "clean", { form: { kind: "file" }, bytes: png.subarray(0, 60) })
    const [bad, good] = await Promise.all([broken, job(picture(9, 9, 1), "clean")].map(threads.run))
    expect(bad!.inputs).toMatchObject({ _tag: "Left", left: { _tag: "BadImage" } })
    expect(E.isRight(good!.inputs)).toBe(true)
  })
})

test("jobs that are unfinished when the threads end are done in this thread", async () => {
  const threads = PreprocessingThreads.open(1)
  expect(await threads.ready()).toBe(1)
  const jobs = Array.from({ length: 6 }, (_, i) => job(picture(60, 60, i), "clean"))
  const results = jobs.map(threads.run)
  await threads.close()
  const expected = await Promise.all(jobs.map(Preprocessing.run))
  expect(await Promise.all(results)).toEqual(expected)
})

test("a program that only waits for the threads stays alive until they are ready", () => {
  const module = JSON.stringify(new URL("../src/extractors/PreprocessingThreads.ts", import.meta.url).href)
  const program = `import(${module}).then(async ({ open }) => {
    const threads = open(1)
    console.log(await threads.ready())
    await threads.close()
  })`
  expect(execFileSync(process.execPath, ["--import", "tsx", "-e", program]).toString()).toBe("1\n")
})
