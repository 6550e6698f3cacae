/** Starts a module of this repository as a worker thread. */
import { extname } from "node:path"
import { fileURLToPath } from "node:url"
import { Worker, type WorkerOptions } from "node:worker_threads"

/**
 * In the repository a worker is TypeScript, which Node runs without a loader from 22.18 on; in the published packages it is
 * JavaScript.
 * @param name the module's name without its ending, relative to `here`
 * @param here `import.meta.url` of the caller
 */
export const start = (name: string, here: string, options: WorkerOptions = {}): Worker => {
  const file = new URL(`${name}${extname(fileURLToPath(here))}`, here)
  const runs = !file.pathname.endsWith(".ts") || ("typescript" in process.features && process.features.typescript)
  if (runs) return new Worker(file, options)
  const [loader, module] = [import.meta.resolve("tsx/esm/api"), file.href].map((url) => JSON.stringify(url))
  return new Worker(`import(${loader}).then(({ register }) => { register(); return import(${module}) })`, {
    ...options,
    eval: true,
  })
}
