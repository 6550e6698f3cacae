/** One cell in a process of its own: `worker.ts FOLDER THREADS`. SIGINT, SIGTERM and the end of its parent stop it with a checkpoint. */
import { Engines } from "@adafm/engine"
import * as Runner from "./Runner.ts"

const [folder, threads = "1"] = process.argv.slice(2)
let stop = false
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    stop = true
  })
process.once("disconnect", () => {
  stop = true
})
const options = { threads: Number(threads) }
const engine = await Engines.open(options)
await Runner.run(await Runner.readOrder(folder!), engine, { ...options, shouldStop: () => stop })
process.exit(0)
