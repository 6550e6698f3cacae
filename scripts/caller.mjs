/** Preloaded by `pnpm adafm`: relative paths are those of the folder in which the command was typed, not of the repository. */
import { pathToFileURL } from "node:url"

const { env } = process
const { INIT_CWD, npm_lifecycle_event } = env
// other processes inherit the variables; only the script itself was called from that folder
if (npm_lifecycle_event === "adafm" && INIT_CWD) {
  const root = pathToFileURL(`${process.cwd()}/`)
  const absolute = (module) =>
    module.startsWith(".") ? new URL(module, root).href : import.meta.resolve(module, root.href)
  // processes that this one starts get the same preloaded modules, and would look for them in the caller's folder
  process.execArgv = process.execArgv.map((word, i, all) => (all[i - 1] === "--import" ? absolute(word) : word))
  process.chdir(INIT_CWD)
  delete env.INIT_CWD
}
