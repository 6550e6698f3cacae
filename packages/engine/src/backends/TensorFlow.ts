/**
 * Native TensorFlow through tfjs-node-gpu or tfjs-node, where somebody installed it. Their installers download libtensorflow, so
 * they are optional; release 4.22 calls a function that Node 23 removed.
 */
import { existsSync, readdirSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import type { Engine } from "../Engine.ts"
import { engine } from "./Eager.ts"

const packages = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"] as const

export interface Unavailable {
  readonly reason: string
}

const resolve = (path: string): string | undefined => {
  try {
    return createRequire(import.meta.url).resolve(path)
  } catch {
    return undefined
  }
}

/** The package's folder, and whether its binary is in it; requiring it without one registers half a backend, loudly. */
const find = (name: string): { readonly folder: string; readonly isComplete: boolean } | undefined => {
  const manifest = resolve(`${name}/package.json`)
  if (manifest === undefined) return undefined
  const folder = dirname(manifest)
  const lib = join(folder, "lib")
  const binaries = existsSync(lib) ? readdirSync(lib).filter((entry) => entry.startsWith("napi-v")) : []
  return { folder, isComplete: binaries.some((entry) => existsSync(join(lib, entry, "tfjs_binding.node"))) }
}

/** The command that brings the binary, which comes from Google's servers. */
export const fix = (): string => {
  const installed = packages.map(find).find((found) => found !== undefined)
  return installed === undefined
    ? `npm install ${packages[0]}@4.22.0`
    : `npm --prefix "${installed.folder}" run install`
}

export const create = async (): Promise<Engine | Unavailable> => {
  if (Number(process.versions.node.split(".")[0]) >= 23) {
    return { reason: "tfjs-node 4.22 needs Node 20 or 22 (it calls util.isNullOrUndefined, removed in Node 23)" }
  }
  const reasons: string[] = []
  for (const name of packages) {
    const found = find(name)
    if (found === undefined || !found.isComplete) {
      reasons.push(`${name} ${found === undefined ? "is not installed" : "has no binary"}`)
      continue
    }
    try {
      createRequire(import.meta.url)(name)
      tf.setBackend("tensorflow")
      return engine("tensorflow", "tensorflow")
    } catch (thrown) {
      const [line] = String(thrown instanceof Error ? thrown.message : thrown).split("\n")
      reasons.push(`${name}: ${line}`)
    }
  }
  return { reason: `${reasons.join(", ")}. Mend it with: ${fix()}` }
}
