/** The versions of what runs here, and the commit of the clone. A browser has another `Versions`. */
import { execFile } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Image } from "@adafm/data"
import { Session } from "@adafm/onnx"

const { version } = createRequire(import.meta.url)("../../package.json") as { readonly version: string }

const here = dirname(fileURLToPath(import.meta.url))

/** The commit of the clone that this file is in. */
export const commit = async (): Promise<string | undefined> => {
  if (here.split(sep).includes("node_modules")) return undefined
  const git = async (...args: readonly string[]): Promise<string> =>
    (await promisify(execFile)("git", ["-C", here, ...args])).stdout.trim()
  try {
    const [head, changes] = await Promise.all([
      git("rev-parse", "HEAD"),
      git("status", "--porcelain", "--untracked-files=no"),
    ])
    return changes === "" ? head : `${head}+changes`
  } catch {
    return undefined
  }
}

export const versions = async (): Promise<Readonly<Record<string, string>>> => ({
  adafm: version,
  node: process.versions.node,
  onnxruntime: await Session.version(),
  ...(await Image.versions()),
})
