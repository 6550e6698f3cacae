import { Failure } from "@adafm/core"
import { describe, expect, test } from "vitest"
import * as ByteSource from "../src/ByteSource.ts"
import * as ByteCursor from "../src/torch/ByteCursor.ts"
import * as PickleMachine from "../src/torch/PickleMachine.ts"
import * as TensorsByPath from "../src/torch/TensorsByPath.ts"

const scalars = (bytes: Uint8Array): object => ({
  ...TensorsByPath.of(PickleMachine.read(ByteCursor.make(ByteSource.ofBytes(bytes)), () => null)).scalars,
})

/**
 * What training scripts save with their tensors, by `pickle.dumps(o, protocol)` of Python 3.11 and NumPy 1.24:
 * `{"best": np.float64(1.5), "flag": np.bool_(True), "args": argparse.Namespace(lr=.1, betas=(.5, .9)),
 * "dd": defaultdict(dict, a=1), "cnt": Counter([1, 1, 2]), "s": {1}, "by": b"abc", "neg": -2**70, "none": None, "uni": "☂"}`
 */
const golden = [
  [
    2,
    "gAJ9cQAoWAQAAABiZXN0cQFjbnVtcHkuY29yZS5tdWx0aWFycmF5CnNjYWxhcgpxAmNudW1weQpkdHlwZQpxA1gCAAAAZjhxBImIh3EFUnEGKEsDWAEAAAA8cQdOTk5K/////0r/////SwB0cQhiY19jb2RlY3MKZW5jb2RlCnEJWAkAAAAAAAAAAADDuD9xClgGAAAAbGF0aW4xcQuGcQxScQ2GcQ5ScQ9YBAAAAGZsYWdxEGgCaANYAgAAAGIxcRGJiIdxElJxEyhLA1gBAAAAfHEUTk5OSv////9K/////0sAdHEVYmgJWAEAAAABcRZoC4ZxF1JxGIZxGVJxGlgEAAAAYXJnc3EbY2FyZ3BhcnNlCk5hbWVzcGFjZQpxHCmBcR19cR4oWAIAAABscnEfRz+5mZmZmZmaWAUAAABiZXRhc3EgRz/gAAAAAAAARz/szMzMzMzNhnEhdWJYAgAAAGRkcSJjY29sbGVjdGlvbnMKZGVmYXVsdGRpY3QKcSNjX19idWlsdGluX18KZGljdApxJIVxJVJxJlgBAAAAYXEnSwFzWAMAAABjbnRxKGNjb2xsZWN0aW9ucwpDb3VudGVyCnEpfXEqKEsBSwJLAksBdYVxK1JxLFgBAAAAc3EtY19fYnVpbHRpbl9fCnNldApxLl1xL0sBYYVxMFJxMVgCAAAAYnlxMmgJWAMAAABhYmNxM2gLhnE0UnE1WAMAAABuZWdxNooJAAAAAAAAAADAWAQAAABub25lcTdOWAMAAAB1bmlxOFgDAAAA4piCcTl1Lg==",
  ],
  [
    3,
    "gAN9cQAoWAQAAABiZXN0cQFjbnVtcHkuY29yZS5tdWx0aWFycmF5CnNjYWxhcgpxAmNudW1weQpkdHlwZQpxA1gCAAAAZjhxBImIh3EFUnEGKEsDWAEAAAA8cQdOTk5K/////0r/////SwB0cQhiQwgAAAAAAAD4P3EJhnEKUnELWAQAAABmbGFncQxoAmgDWAIAAABiMXENiYiHcQ5ScQ8oSwNYAQAAAHxxEE5OTkr/////Sv////9LAHRxEWJDAQFxEoZxE1JxFFgEAAAAYXJnc3EVY2FyZ3BhcnNlCk5hbWVzcGFjZQpxFimBcRd9cRgoWAIAAABscnEZRz+5mZmZmZmaWAUAAABiZXRhc3EaRz/gAAAAAAAARz/szMzMzMzNhnEbdWJYAgAAAGRkcRxjY29sbGVjdGlvbnMKZGVmYXVsdGRpY3QKcR1jYnVpbHRpbnMKZGljdApxHoVxH1JxIFgBAAAAYXEhSwFzWAMAAABjbnRxImNjb2xsZWN0aW9ucwpDb3VudGVyCnEjfXEkKEsBSwJLAksBdYVxJVJxJlgBAAAAc3EnY2J1aWx0aW5zCnNldApxKF1xKUsBYYVxKlJxK1gCAAAAYnlxLEMDYWJjcS1YAwAAAG5lZ3EuigkAAAAAAAAAAMBYBAAAAG5vbmVxL05YAwAAAHVuaXEwWAMAAADimIJxMXUu",
  ],
  [
    4,
    "gASVnQEAAAAAAAB9lCiMBGJlc3SUjBVudW1weS5jb3JlLm11bHRpYXJyYXmUjAZzY2FsYXKUk5SMBW51bXB5lIwFZHR5cGWUk5SMAmY4lImIh5RSlChLA4wBPJROTk5K/////0r/////SwB0lGJDCAAAAAAAAPg/lIaUUpSMBGZsYWeUaARoB4wCYjGUiYiHlFKUKEsDjAF8lE5OTkr/////Sv////9LAHSUYkMBAZSGlFKUjARhcmdzlIwIYXJncGFyc2WUjAlOYW1lc3BhY2WUk5QpgZR9lCiMAmxylEc/uZmZmZmZmowFYmV0YXOURz/gAAAAAAAARz/szMzMzMzNhpR1YowCZGSUjAtjb2xsZWN0aW9uc5SMC2RlZmF1bHRkaWN0lJOUjAhidWlsdGluc5SMBGRpY3SUk5SFlFKUjAFhlEsBc4wDY250lGgjjAdDb3VudGVylJOUfZQoSwFLAksCSwF1hZRSlIwBc5SPlChLAZCMAmJ5lEMDYWJjlIwDbmVnlIoJAAAAAAAAAADAjARub25llE6MA3VuaZSMA+KYgpR1Lg==",
  ],
  [
    5,
    "gAWVnQEAAAAAAAB9lCiMBGJlc3SUjBVudW1weS5jb3JlLm11bHRpYXJyYXmUjAZzY2FsYXKUk5SMBW51bXB5lIwFZHR5cGWUk5SMAmY4lImIh5RSlChLA4wBPJROTk5K/////0r/////SwB0lGJDCAAAAAAAAPg/lIaUUpSMBGZsYWeUaARoB4wCYjGUiYiHlFKUKEsDjAF8lE5OTkr/////Sv////9LAHSUYkMBAZSGlFKUjARhcmdzlIwIYXJncGFyc2WUjAlOYW1lc3BhY2WUk5QpgZR9lCiMAmxylEc/uZmZmZmZmowFYmV0YXOURz/gAAAAAAAARz/szMzMzMzNhpR1YowCZGSUjAtjb2xsZWN0aW9uc5SMC2RlZmF1bHRkaWN0lJOUjAhidWlsdGluc5SMBGRpY3SUk5SFlFKUjAFhlEsBc4wDY250lGgjjAdDb3VudGVylJOUfZQoSwFLAksCSwF1hZRSlIwBc5SPlChLAZCMAmJ5lEMDYWJjlIwDbmVnlIoJAAAAAAAAAADAjARub25llE6MA3VuaZSMA+KYgpR1Lg==",
  ],
] as const

test.each(golden)("scores, arguments and counters in protocol %i are plain data", (_, base64) => {
  expect(scalars(Buffer.from(base64, "base64"))).toEqual({
    best: 1.5,
    flag: true,
    "args/lr": 0.1,
    "args/betas": [0.5, 0.9],
    "dd/a": 1,
    "cnt/1": 2,
    "cnt/2": 1,
    s: [1],
    by: { bytes: 3 },
    neg: { integer: (-(2n ** 70n)).toString() },
    none: null,
    uni: "☂",
  })
})

describe("a hand-written pickle", () => {
  const failure = (text: string): Failure.Failure | undefined => {
    try {
      scalars(Buffer.from(`\x80\x02${text}.`, "latin1"))
      return undefined
    } catch (thrown) {
      return Failure.fromThrown(thrown)
    }
  }

  test.each([
    ["text integers, longs, floats and strings", "(I7\nL8L\nF0.5\nS'a\\x41\\n'\nl", [7, 8, 0.5, "aA\n"]],
    ["text memo and booleans", "(I01\nI00\np3\ng3\nl", [true, false, false]],
  ])("%s", (_, text, expected) => {
    expect(scalars(Buffer.from(`\x80\x02${text}.`, "latin1"))).toEqual({ value: expected })
  })

  test.each([
    ["a list of pairs as an ordered dict", "ccollections\nOrderedDict\n((K\x01K\x02tl\x85R", { "1": 2 }],
    [
      "keys that are no text, as Python prints them",
      "}(NK\x01\x88K\x02G\x40\x04\0\0\0\0\0\0K\x03u",
      { None: 1, True: 2, "2.5": 3 },
    ],
    ["a tuple as a key", "}(K\x01U\x01a\x86K\x07u", { '(1, "a")': 7 }],
  ])("%s", (_, text, expected) => {
    expect(scalars(Buffer.from(`\x80\x02${text}.`, "latin1"))).toEqual(expected)
  })

  test.each([
    ["a call of a name that is no function", "cbuiltins\nint\n)R", "UnsafePickle", 17],
    ["a NumPy scalar of a kind named constructor", "cnumpy\ndtype\nX\x0b\0\0\0constructor\x85R", "BadPickle", 32],
    [
      "a NumPy scalar over a forged dtype",
      "cnumpy.core.multiarray\nscalar\ncargparse\nNamespace\n)R}U\x05dtypeU\x02x3sbC\x03abc\x86R",
      "BadPickle",
      74,
    ],
    ["an attribute with two underscores", "cargparse\nNamespace\n)R}U\x09__class__K\x01sb", "UnsafePickle", 39],
    ["a float named constructor", "Fconstructor\n", "BadPickle", 2],
    ["a dictionary keyed by a list", "}]K\x01s", "BadPickle", 6],
    ["an append to a tuple", ")K\x01a", "BadPickle", 5],
    ["a tensor dtype that only PyTorch has", "ctorch\nquint8\n", "UnsupportedDType", 2],
    ["a dictionary keyed by a tuple of lists", "}]\x85K\x01s", "BadPickle", 7],
    ["a saved module", "cmodels\nGenerator\n", "UnsafePickle", 2],
  ])("with %s is refused at its opcode", (_, text, tag, offset) => {
    expect(failure(text)).toMatchObject({ _tag: tag, offset })
  })

  /** As PyTorch 2.13 writes `torch._neg_view(torch.ones(3))`: the sign is not in the bytes. */
  test("with a tensor whose bytes are not its values is refused; the message says what to save instead", () => {
    const tensor = (metadata: string): string =>
      `ctorch._utils\n_rebuild_tensor_v2\n(NQK\0K\x03\x85K\x01\x85\x89N${metadata}tR`
    const read = (metadata: string): Failure.Failure | undefined => {
      const storage = {
        bytes: ByteSource.ofBytes(new Uint8Array(12)),
        dtype: "float32",
        length: 3,
        bigEndian: false,
      } as const
      const bytes = Buffer.from(`\x80\x02${tensor(metadata)}.`, "latin1")
      try {
        PickleMachine.read(ByteCursor.make(ByteSource.ofBytes(bytes)), () => ({
          _tag: "Storage",
          storage: { ...storage, key: "0" },
        }))
        return undefined
      } catch (thrown) {
        return Failure.fromThrown(thrown)
      }
    }
    expect([read(""), read("}"), read("}U\x03neg\x89s"), read("}U\x04conj\x88s")]).toEqual(Array(4).fill(undefined))
    expect(read("}U\x03neg\x88s")).toMatchObject({
      _tag: "UnsupportedLayout",
      message: expect.stringContaining("resolve_neg"),
      offset: expect.any(Number),
    })
    expect(read("}U\x0anpu_formatK\x1ds")).toMatchObject({ _tag: "UnsupportedLayout" })
    for (const [name, remedy] of [
      ["sparse_tensor", "to_dense"],
      ["qtensor", "dequantize"],
      ["meta_tensor_no_storage", "meta"],
    ])
      expect(failure(`ctorch._utils\n_rebuild_${name}\n`)).toMatchObject({
        _tag: "UnsupportedLayout",
        message: expect.stringContaining(remedy!),
        offset: 2,
      })
  })

  test("of a whole model is refused; the message says what to save instead", () => {
    expect(failure("ctorch.nn.modules.linear\nLinear\n")?.message).toContain("model.state_dict()")
    expect(failure("cos\nsystem\n")?.message).not.toContain("state_dict")
  })
})
