/** `worker.ts FOLDER THREADS [PROVIDER]`: runs one cell in its own process. SIGINT, SIGTERM and the end of its parent process stop it at its next checkpoint. */
import * as CellQueue from "./lab/run/CellQueue.ts"
import * as CellRunner from "./lab/run/CellRunner.ts"
import { asProgram } from "./run.ts"

const [folder, threads = "1", provider] = process.argv.slice(2)
let stop = false
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    stop = true
  })
process.once("disconnect", () => {
  stop = true
})
const options = { threads: Number(threads) }
await asProgram(async () => {
  const engine = await CellQueue.engine({ ...options, provider })
  await CellRunner.run(await CellRunner.readOrder(folder!), engine, { ...options, shouldStop: () => stop })
  return 0
})
