#!/usr/bin/env node
/** `adafm`: decodes arguments, calls one function of a package, prints. */
import * as Program from "./Program.ts"

const args = process.argv.slice(2)
// libraries that log would spoil the document
if (args.includes("--json")) for (const name of ["log", "info", "debug"] as const) console[name] = console.error

process.exit(
  await Program.run(args, {
    out: (text) => new Promise((resolve) => process.stdout.write(text, () => resolve())),
    err: (text) => process.stderr.write(text),
  }),
)
