/** Checkpoints that run a command when Python opens them. */
import { existsSync } from "node:fs"
import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Failure } from "@adafm/core"
import { Inspect } from "@adafm/transfer"
import * as E from "fp-ts/lib/Either.js"
import type { Trial } from "./Ledger.ts"
import * as Pickle from "./Pickle.ts"

export const row = "a pickle that runs a command"

/** It must be refused by name, and the command must not have run. */
export const trial = async (seed: number, number: number, folder: string): Promise<Trial> => {
  await mkdir(folder, { recursive: true })
  const [file, canary] = [join(folder, "hostile.pt"), join(folder, "canary")]
  await rm(canary, { force: true })
  const { what, bytes } = Pickle.hostile(seed, number, canary)
  await writeFile(file, bytes)
  const found = await Inspect.inspect(file)().catch((thrown) => E.left(Failure.fromThrown(thrown)))
  if (existsSync(canary)) return { row, number, verdict: "unnoticed", detail: `${what}: it ran` }
  if (E.isRight(found)) return { row, number, verdict: "unnoticed", detail: `${what}: it is read` }
  const { _tag, message, file: named } = found.left
  const verdict = _tag === "Unexpected" ? "unexpected" : named === undefined ? "unnamed" : "refused"
  return { row, number, verdict, detail: `${what}: ${_tag}, ${message}` }
}
