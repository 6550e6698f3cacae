#!/usr/bin/env node
/** `adafm`: decodes arguments, calls one function of a package, prints. */
import * as Program from "./Program.ts"

const args = process.argv.slice(2)
// libraries that log would spoil the document
if (args.includes("--json")) for (const name of ["log", "info", "debug"] as const) console[name] = console.error

/** Nobody has to read an answer to its end, but one that cannot be written is lost. */
const lost = (error: NodeJS.ErrnoException): void => {
  if (error.code === "EPIPE") return
  process.stderr.write(`error: the answer cannot be written to stdout: ${error.message}\n`)
  process.exit(1)
}
process.stdout.on("error", lost)
// a training goes on when nobody listens any more
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
