/** A training that the studio's page starts on this computer: `adafm transfer` in a process of its own, which outlives the page. */
import { spawn } from "node:child_process"
import { openSync } from "node:fs"
import { z } from "zod"

/** What a page may ask for. The names of files are made here, never taken from a request. */
export const Asked = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,60}$/, "expected small letters, digits and hyphens"),
  source: z.string().regex(/^builtin:[a-z0-9-]+$/, "expected a bundled model"),
  recipe: z.exactOptional(z.string().regex(/^[a-z0-9-]+$/)),
  steps: z.exactOptional(z.coerce.number().int().positive()),
  batch: z.exactOptional(z.coerce.number().int().positive()),
  learningRate: z.exactOptional(z.coerce.number().positive()),
})
export type Asked = z.output<typeof Asked>

export interface Training extends Asked {
  /** The zip of photographs. */
  readonly data: string
  /** The run folder. */
  readonly out: string
}

/** The arguments of `adafm`. */
export const argumentsOf = ({ source, data, out, recipe, steps, batch, learningRate }: Training): readonly string[] => [
  "transfer",
  ...["--source", source, "--data", data, "--out", out],
  ...(recipe === undefined ? [] : ["--recipe", recipe]),
  ...(steps === undefined ? [] : ["--steps", String(steps)]),
  ...(batch === undefined ? [] : ["--batch", String(batch)]),
  ...(learningRate === undefined ? [] : ["--lr", String(learningRate)]),
]

/** Starts this program again with the arguments of a training. What it prints goes to `OUT.log`. */
export const start = (training: Training): void => {
  const log = openSync(`${training.out}.log`, "a")
  spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...argumentsOf(training)], {
    detached: true,
    stdio: ["ignore", log, log],
  })
    .on("error", () => {})
    .unref()
}
