/**
 * A process that tries the execution provider of its argument and sends back whether it works. In a process of its own, native
 * libraries cannot write to the user's terminal, and a driver that crashes ends nothing else.
 */
import { Graph, Session } from "@adafm/onnx"
import type { ProviderHealth } from "../verbs/Doctor.ts"

/** What a provider needs besides its library. */
const fixes: Readonly<Record<string, string>> = {
  cuda: "install CUDA 12, cuDNN 9 and a driver that supports them",
  tensorrt: "install CUDA 12 and TensorRT 10",
  webgpu:
    "apt-get install libvulkan1 mesa-vulkan-drivers; with NVIDIA's driver apt-get install libvulkan1 libgl1 libegl1, and set VK_DRIVER_FILES to its nvidia_icd.json if that is not found",
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
      : { name, available: false, reason: "its results are wrong" }
  } catch (thrown) {
    const [reason = ""] = (thrown instanceof Error ? thrown.message : String(thrown)).split("\n")
    const fix = fixes[name]
    return { name, available: false, reason: reason.replace(/^.*was false\. /, ""), ...(fix !== undefined && { fix }) }
  }
}

process.send?.(await examine(process.argv[2] ?? "cpu"))
process.disconnect?.()
