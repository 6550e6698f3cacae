/** One cell in a process of its own: `worker.ts FOLDER [THREADS]`. */
import { Engines } from "@adafm/engine"
import * as Runner from "./Runner.ts"

const [folder, threads] = process.argv.slice(2)
const engine = await Engines.open(threads === undefined ? {} : { threads: Number(threads) })
await Runner.run(await Runner.readOrder(folder!), engine)
process.exit(0)
