/**
 * Native TensorFlow through tfjs-node-gpu or tfjs-node, where somebody installed it. Their installers download libtensorflow, so
 * they are optional; release 4.22 calls a function that Node 23 removed.
 */
import { createRequire } from "node:module"
import * as tf from "@tensorflow/tfjs-core"
import type { Engine } from "../Engine.ts"
import { engine } from "./Eager.ts"

const packages = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"] as const

export interface Unavailable {
  readonly reason: string
}

export const create = async (): Promise<Engine | Unavailable> => {
  if (Number(process.versions.node.split(".")[0]) >= 23) {
    return { reason: "tfjs-node 4.22 needs Node 20 or 22 (it calls util.isNullOrUndefined, removed in Node 23)" }
  }
  const require = createRequire(import.meta.url)
  const reasons: string[] = []
  for (const name of packages) {
    try {
      require(name)
      tf.setBackend("tensorflow")
      return engine("tensorflow", "tensorflow")
    } catch (thrown) {
      const [line] = String(thrown instanceof Error ? thrown.message : thrown).split("\n")
      reasons.push(`${name}: ${line}`)
    }
  }
  return {
    reason: `${reasons.join("; ")}. Mend it with: npm rebuild @tensorflow/tfjs-node-gpu --build-addon-from-source`,
  }
}
