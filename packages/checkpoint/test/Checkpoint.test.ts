import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, NdArray, Safetensors } from "@adafm/core"
import { Shared } from "@adafm/testkit"
import * as E from "fp-ts/lib/Either.js"
import { describe, expect, test } from "vitest"
import * as Checkpoint from "../src/Checkpoint.ts"

interface ExpectedTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: NdArray.DType
  readonly sum: number
  readonly first: readonly number[]
  readonly sha256: string
}

const checkpoints = Shared.path("data/checkpoints") ?? ""
const published = checkpoints === "" ? [] : readdirSync(checkpoints, { recursive: true, encoding: "utf8" })
const expectations = published
  .filter((name) => name.endsWith(".expected.json"))
  .map((name) => {
    const json = JSON.parse(readFileSync(join(checkpoints, name), "utf8")) as {
      outcome: string
      bytes: number
      format: string
      tensors: readonly ExpectedTensor[]
      scalars: readonly { path: readonly string[]; value: number }[]
    }
    return { name: name.replace(".expected.json", ""), json }
  })

describe.skipIf(Shared.missing("data/checkpoints"))("a published checkpoint", () => {
  test.each(expectations.filter(({ json }) => json.outcome === "loads"))(
    "$name has every tensor to the bit",
    async ({ name, json }) => {
      const { tensors, scalars, format, bytes } = Failure.orThrow(
        await Checkpoint.use(join(checkpoints, name), (c) => ({
          ...c,
          tensors: Object.values(c.tensors).map((t) => ({ ...t, array: c.read(t.path) })),
        }))(),
      )
      expect({ format, bytes }).toEqual({ format: `torch-${json.format}`, bytes: json.bytes })
      expect(
        tensors.map(({ path, shape, dtype, array }) => ({
          name: path,
          shape,
          dtype,
          first: [...NdArray.toFloat64(array).data.slice(0, 4)],
          sha256: createHash("sha256").update(NdArray.toBytes(array)).digest("hex"),
        })),
      ).toEqual(json.tensors.map(({ name, shape, dtype, first, sha256 }) => ({ name, shape, dtype, first, sha256 })))
      expect(scalars).toEqual(Object.fromEntries(json.scalars.map(({ path, value }) => [path.join("/"), value])))
    },
  )

  test("truncated in the middle is refused with the offset where its data end and the path of the truncated tensor", async () => {
    const file = join(checkpoints, "refused/truncated-inception-2015-12-05-6726825d.pth")
    const failure = await Checkpoint.list(file)()
    expect(failure).toMatchObject({
      left: { _tag: "TruncatedFile", offset: 818371, path: "Mixed_6a.branch3x3dbl_3.conv.weight", file },
    })
  })

  test("that is a Git LFS pointer is refused as one", async () => {
    const failure = await Checkpoint.list(join(checkpoints, "refused/git-lfs-pointer.pth"))()
    expect(failure).toMatchObject({ left: { _tag: "GitLfsPointer" } })
  })
})

const gpgan = Shared.path("fixtures/gpgan") ?? ""

describe.skipIf(Shared.missing("fixtures/gpgan"))("a fixture written by PyTorch", () => {
  const cases = ["source", "source.bf16-half", "source.integers", "source.strided"].flatMap((stem) =>
    ["legacy", "zip"].map((container) => ({ stem, container })),
  )
  test.each(cases)(
    "$stem in the $container container has the expected tensors and scalars",
    async ({ stem, container }) => {
      const expected = await Failure.orThrow(Safetensors.read(join(gpgan, `${stem}.expected.safetensors`)))
      const { non_tensors, tensor_order } = JSON.parse(readFileSync(join(gpgan, `${stem}.expected.json`), "utf8")) as {
        non_tensors: Record<string, unknown>
        tensor_order: readonly string[]
      }
      const { arrays, scalars } = Failure.orThrow(
        await Checkpoint.use(join(gpgan, `${stem}.${container}.pt`), (c) => ({
          scalars: c.scalars,
          arrays: Object.keys(c.tensors).map((path) => [path, c.read(path)] as const),
        }))(),
      )
      expect(arrays.map(([path]) => path)).toEqual(tensor_order)
      for (const [path, { dtype, shape, data }] of arrays) {
        const want = expected.tensors[path]!
        expect({ path, dtype, shape }).toEqual({ path, dtype: want.dtype, shape: want.shape })
        expect(Buffer.from(data.buffer, data.byteOffset, data.byteLength).equals(NdArray.toBytes(want))).toBe(true)
      }
      expect({ ...scalars }).toEqual(non_tensors)
    },
  )
})

interface Negative {
  readonly file: string
  readonly expect: "loads" | "refused" | "refused_or_inert" | "refused_or_correct"
  readonly tensors?: Readonly<Record<string, { dtype: string; shape: number[]; values: number[] }>>
  readonly it?: number
}

describe.skipIf(Shared.missing("fixtures/gpgan/pickle-negatives"))("a hand-made file", () => {
  const folder = join(gpgan, "pickle-negatives")
  const { files, marker } =
    gpgan === ""
      ? { files: [], marker: "none" }
      : (JSON.parse(readFileSync(join(folder, "negatives.json"), "utf8")) as { files: Negative[]; marker: string })

  /** Opens the file, verifies its checksums, reads every tensor. */
  const load = (file: string) =>
    Checkpoint.use(join(folder, file), (c) => {
      c.verify()
      return {
        it: c.scalars.it,
        tensors: Object.fromEntries(
          Object.values(c.tensors).map(({ path, dtype, shape }) => [
            path,
            { dtype, shape, values: [...NdArray.toFloat64(c.read(path)).data] },
          ]),
        ),
      }
    })()

  test.each(files)("$file is $expect", async ({ file, expect: outcome, tensors, it }) => {
    rmSync(join(tmpdir(), marker), { force: true })
    const result = await load(file)
    expect(existsSync(join(tmpdir(), marker))).toBe(false)
    expect(existsSync(join(folder, "..", marker))).toBe(false)
    if (outcome === "refused" || E.isLeft(result)) {
      expect(outcome).not.toBe("loads")
      expect(result).toMatchObject({ _tag: "Left", left: { file: join(folder, file), offset: expect.any(Number) } })
      expect((result as E.Left<Failure.Failure>).left._tag).not.toMatch(/^(Unexpected|System)/)
    } else if (tensors !== undefined) {
      expect(result.right.tensors).toEqual(tensors)
      if (it !== undefined) expect(result.right.it).toBe(it)
    }
  })
})
