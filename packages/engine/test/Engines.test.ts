import { Failure } from "@adafm/core"
import { describe, expect, test } from "vitest"
import * as TensorFlow from "../src/backends/TensorFlow.ts"
import * as Engines from "../src/Engines.ts"

const refusal = async (choice: Engines.Choice): Promise<Failure.Failure | undefined> =>
  Engines.open(choice).then(() => undefined, Failure.fromThrown)

describe("an engine that cannot be opened is a tagged failure", () => {
  test("an unknown name lists the engines", async () => {
    const choice = JSON.parse('{"engine": "webgl"}') as Engines.Choice
    expect(await refusal(choice)).toEqual({
      _tag: "UnknownEngine",
      message: "there is no engine webgl; choose one of onnx, tensorflow, wasm, cpu",
    })
  })

  test("an unknown provider lists those of this machine", async () => {
    expect(await refusal({ provider: "abacus" })).toMatchObject({
      _tag: "UnknownProvider",
      message: expect.stringMatching(/^ONNX Runtime has no provider abacus here; there are .*\bcpu\b/),
    })
  })

  test("a provider of another engine than onnx", async () => {
    expect(await refusal({ engine: "wasm", provider: "cuda" })).toEqual({
      _tag: "UnknownProvider",
      message: "providers belong to the onnx engine, wasm has none",
    })
  })

  test("an engine that is not installed says why, how to install it and what else there is", async ({ skip }) => {
    const native = await TensorFlow.create()
    if (!("reason" in native)) return skip("the tensorflow engine is installed")
    expect(await refusal({ engine: "tensorflow" })).toEqual({
      _tag: "NoEngine",
      message:
        `the tensorflow engine is not available: ${native.reason}; install it with: ${Engines.fix("tensorflow")}, ` +
        "or choose another engine: onnx, wasm, cpu",
    })
    const found = (await Engines.probe()).find(({ name }) => name === "tensorflow")
    expect(found).toEqual({ name: "tensorflow", available: false, reason: native.reason })
  })
})
