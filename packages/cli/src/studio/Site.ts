/**
 * The studio's page. In a clone of the repository it is built on first use, and again after its sources have changed; elsewhere it comes
 * ready with the package `@adafm/studio`, which the command works without.
 */
import { existsSync, readdirSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Failure } from "@adafm/core"

const packages = fileURLToPath(new URL("../../../", import.meta.url))
const studio = join(packages, "studio")
const site = join(studio, "dist")

/** The time of the newest file in a folder, in milliseconds. */
const newest = (folder: string): number =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).reduce(
    (latest, file) => (file.isFile() ? Math.max(latest, statSync(join(file.parentPath, file.name)).mtimeMs) : latest),
    0,
  )

const isStale = (): boolean => {
  const built = join(site, "index.html")
  if (!existsSync(built)) return true
  const since = statSync(built).mtimeMs
  const sources = readdirSync(packages).map((name) => join(packages, name, "src"))
  return sources.some((folder) => existsSync(folder) && newest(folder) > since)
}

/** The page of the installed package. */
const installed = async (): Promise<string> => {
  const found = await import("@adafm/studio").catch(() => undefined)
  return found !== undefined && existsSync(join(found.folder, "index.html"))
    ? found.folder
    : Failure.raise(
        "NoStudio",
        "the studio's page is not installed here: npm install @adafm/studio, of the same version as @adafm/cli (a clone of the repository has it, and its tarballs too)",
      )
}

/** @param onBuild called before a build, which takes seconds @returns the folder of the page */
export const ready = async (onBuild: () => void): Promise<string> => {
  if (!existsSync(join(studio, "vite.config.ts"))) return installed()
  if (!isStale()) return site
  onBuild()
  const vite = createRequire(join(studio, "package.json")).resolve("vite")
  const { build } = (await import(pathToFileURL(vite).href)) as typeof import("vite")
  await build({ configFile: join(studio, "vite.config.ts"), logLevel: "error" })
  return site
}
