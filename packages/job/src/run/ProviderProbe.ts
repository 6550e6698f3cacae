/**
 * A process that tries one execution provider, named by its argument, and sends its health: native libraries write to stderr as
 * they like, and a driver that crashes takes nobody else with it.
 */
import { Graph, Session } from "@adafm/onnx"
import type { ProviderHealth } from "../verbs/Doctor.ts"

/** What a provider needs beside its library. */
const fixes: Readonly<Record<string, string>> = {
  cuda: "install CUDA 12 and cuDNN 9, and a driver that knows them",
  tensorrt: "install CUDA 12 and TensorRT 10",
  webgpu:
    "apt-get install libvulkan1 mesa-vulkan-drivers; beside NVIDIA's own driver libvulkan1 libgl1 libegl1, and VK_DRIVER_FILES naming its nvidia_icd.json where it lies elsewhere",
}

/** A provider is usable when a session on it computes relu(-1) = 0. */
const examine = async (name: string): Promise<ProviderHealth> => {
  const g = Graph.builder()
  g.output("y", g.op("Relu", [g.input("x", "float32", [1])]), "float32", [1])
  try {
    const session = await Session.create(Graph.encode(g.graph()), { provider: name, threads: 1 })
    const { y } = await session
      .run({ x: { dtype: "float32", shape: [1], data: Float32Array.of(-1) } })
      .finally(session.release)
    return (y?.data as Float32Array | undefined)?.[0] === 0
      ? { name, available: true }
      : { name, available: false, reason: "it computes wrongly" }
  } catch (thrown) {
    const [reason = ""] = (thrown instanceof Error ? thrown.message : String(thrown)).split("\n")
    const fix = fixes[name]
    return { name, available: false, reason: reason.replace(/^.*was false\. /, ""), ...(fix !== undefined && { fix }) }
  }
}

process.send?.(await examine(process.argv[2] ?? "cpu"))
process.disconnect?.()
