#!/usr/bin/env node
/** `adafm`: decodes the arguments, calls one function of a package, prints its result. */
import * as Program from "./Program.ts"

const args = process.argv.slice(2)
// logging libraries must not write into the JSON document
if (args.includes("--json")) for (const name of ["log", "info", "debug"] as const) console[name] = console.error

/** A reader may close the pipe before the end of the answer; an answer that cannot be written otherwise is a failure. */
const lost = (error: NodeJS.ErrnoException): void => {
  if (error.code === "EPIPE") return
  process.stderr.write(`error: the answer cannot be written to stdout: ${error.message}\n`)
  process.exit(1)
}
process.stdout.on("error", lost)
// training continues if stderr is closed
process.stderr.on("error", () => {})

process.exit(
  await Program.run(args, {
    out: (text) =>
      new Promise((resolve) =>
        process.stdout.write(text, (error) => {
          if (error) lost(error)
          resolve()
        }),
      ),
    err: (text) => process.stderr.write(text),
  }),
)
