import { describe, expect, test } from "vitest"
import * as Graph from "../src/Graph.ts"
import * as Proto from "../src/Proto.ts"
import * as Session from "../src/Session.ts"

const affine = (): Uint8Array => {
  const g = Graph.builder()
  const x = g.input("x", "float32", [{ param: "N" }, 2])
  const w = g.constant({ dtype: "float32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) })
  g.output("y", g.op("Add", [g.op("MatMul", [x, w]), g.scalar(10)]), "float32", [{ param: "N" }, 2])
  return Graph.encode(g.graph(), { metadata: { made: "here" } })
}

describe("a graph built by hand", () => {
  test("runs in ONNX Runtime and gives the closed form x·W + 10", async () => {
    const session = await Session.create(affine(), { threads: 1 })
    const { y } = await session.run({ x: { dtype: "float32", shape: [1, 2], data: Float32Array.of(1, 1) } })
    expect(y!.shape).toEqual([1, 2])
    expect([...(y!.data as Float32Array)]).toEqual([14, 16])
    await session.release()
  })

  test("survives decoding: nodes, constants, metadata", () => {
    const decoded = Proto.decode(affine())
    if (decoded._tag === "Left") throw decoded.left
    const { graph, metadataProps, opsetImport } = decoded.right
    expect(graph?.node?.map((n) => n.opType)).toEqual(["MatMul", "Add", "Identity"])
    expect(graph?.initializer?.map((t) => t.dims)).toEqual([[2, 2], []])
    expect(metadataProps).toEqual([{ key: "made", value: "here" }])
    expect(opsetImport?.[0]?.version).toBe(18)
  })

  test("stores equal small constants once", () => {
    const g = Graph.builder()
    expect(g.ints([0, 1])).toBe(g.ints([0, 1]))
    expect(g.scalar(0.5)).not.toBe(g.scalar(0.25))
  })

  test("bytes that are not a protobuf message are a Left", () => {
    expect(Proto.decode(Uint8Array.of(255, 255, 255))._tag).toBe("Left")
  })
})
