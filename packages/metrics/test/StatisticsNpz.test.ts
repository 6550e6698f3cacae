import { strToU8, zipSync } from "fflate"
import * as E from "fp-ts/lib/Either.js"
import { describe, expect, test } from "vitest"
import * as StatisticsNpz from "../src/files/StatisticsNpz.ts"

/** An `.npy` as NumPy writes it. */
const npy = (descr: string, shape: readonly number[], data: ArrayBufferView, fortran = false): Uint8Array => {
  const header = `{'descr': '${descr}', 'fortran_order': ${fortran ? "True" : "False"}, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }\n`
  return Buffer.concat([
    Buffer.from("\x93NUMPY\x01\x00", "latin1"),
    Buffer.from(Uint16Array.of(header.length).buffer),
    Buffer.from(header),
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ])
}
const mu = npy("<f8", [2], Float64Array.of(1, 2))
/** The archive with another last byte of `mu`. */
const flipped = (bytes: Uint8Array): Uint8Array => {
  const out = Buffer.from(bytes)
  out[out.indexOf(mu) + mu.length - 1]! ^= 1
  return out
}
const sigma = npy("<f8", [2, 2], Float64Array.of(4, 1, 1, 3))

test("statistics are equal after writing and reading", () => {
  const npz = {
    mean: Float64Array.of(1, 2),
    covariance: { rows: 2, cols: 2, data: Float64Array.of(4, 1, 1, 3) },
    provenance: { mode: "clean" },
  }
  expect(StatisticsNpz.parse(StatisticsNpz.encode(npz))).toEqual(E.right(npz))
})

test("float32 and Fortran order are read", () => {
  const either = StatisticsNpz.parse(
    zipSync({
      "mu.npy": npy("<f4", [2], Float32Array.of(1, 2)),
      "sigma.npy": npy("<f8", [2, 2], Float64Array.of(4, 1.00001, 1, 3), true),
    }),
  )
  expect(E.isRight(either) && [[...either.right.mean], [...either.right.covariance.data]]).toEqual([
    [1, 2],
    [4, 1, 1.00001, 3],
  ])
})

describe("refuses", () => {
  test.each([
    { name: "text", bytes: strToU8("no zip"), tag: "BadNpz", message: "not a zip archive, or a damaged one: " },
    {
      name: "a zip without mu",
      bytes: zipSync({ "sigma.npy": sigma }),
      tag: "BadNpz",
      message: "found no mu.npy; FID statistics hold mu and sigma",
    },
    {
      name: "a sigma of another size",
      bytes: zipSync({ "mu.npy": npy("<f8", [3], new Float64Array(3)), "sigma.npy": sigma }),
      tag: "BadNpz",
      message: "found [3] and [2,2]",
    },
    {
      name: "a flat sigma",
      bytes: zipSync({ "mu.npy": mu, "sigma.npy": npy("<f8", [4], new Float64Array(4)) }),
      tag: "BadNpz",
      message: "found [2] and [4]",
    },
    {
      name: "integers",
      bytes: zipSync({ "mu.npy": npy("<i8", [2], new Float64Array(2)), "sigma.npy": sigma }),
      tag: "BadNpy",
      message: "dtype int64; statistics are float64 or float32",
    },
    {
      name: "truncated data",
      bytes: zipSync({ "mu.npy": mu.subarray(0, mu.length - 3), "sigma.npy": sigma }),
      tag: "BadNpy",
      message: "shape [2] of float64 takes 16 bytes, 13 follow the header",
    },
    {
      name: "a pickle",
      bytes: zipSync({ "mu.npy": strToU8("\x80\x04garbage garbage"), "sigma.npy": sigma }),
      tag: "BadNpy",
      message: "not an .npy array",
    },
    {
      name: "NaN",
      bytes: zipSync({ "mu.npy": npy("<f8", [2], Float64Array.of(1, Number.NaN)), "sigma.npy": sigma }),
      tag: "BadNpz",
      message: "not finite",
    },
    {
      name: "a sigma that is not symmetric",
      bytes: zipSync({ "mu.npy": mu, "sigma.npy": npy("<f8", [2, 2], Float64Array.of(4, 2, 1, 3)) }),
      tag: "BadNpz",
      message: "(1, 0) and (0, 1) differ",
    },
    {
      name: "a negative variance",
      bytes: zipSync({ "mu.npy": mu, "sigma.npy": npy("<f8", [2, 2], Float64Array.of(4, 0, 0, -3)) }),
      tag: "BadNpz",
      message: "variance (1, 1) is negative",
    },
    {
      name: "clean-fid's features for KID",
      bytes: zipSync({ "feats.npy": npy("<f4", [1, 2], Float32Array.of(1, 2)) }),
      tag: "BadNpz",
      message: "the file without `_kid`",
    },
    {
      name: "a huge shape",
      bytes: zipSync({ "mu.npy": mu, "sigma.npy": npy("<f8", [99999999, 99999999], new Float64Array(4)) }),
      tag: "BadNpy",
      message: "shape [99999999, 99999999] of float64 takes",
    },
    {
      name: "more dimensions than any network has",
      bytes: zipSync({ "mu.npy": npy("<f8", [16_385], new Float64Array(16_385)), "sigma.npy": sigma }),
      tag: "BadNpy",
      message: "shape [16385] exceeds 16384 dimensions",
    },
    {
      name: "a flipped bit",
      bytes: flipped(zipSync({ "mu.npy": mu, "sigma.npy": sigma }, { level: 0 })),
      tag: "BadNpz",
      message: "CRC-32",
    },
  ])("$name", ({ bytes, tag, message }) => {
    const either = StatisticsNpz.parse(bytes)
    expect(E.isLeft(either) && either.left).toMatchObject({ _tag: tag, message: expect.stringContaining(message) })
  })
})
