/**
 * A run on disk: `config.json` (what was asked for), `stats.jsonl` (one line a step, only ever appended to) and
 * `checkpoints/00001000.safetensors` (the whole training state after so many steps, in the file's layout).
 */
import { appendFile, readdir, readFile, rm, stat, truncate } from "node:fs/promises"
import { join } from "node:path"
import { isDeepStrictEqual } from "node:util"
import { Failure, Files, type Flat, type NdArray, Safetensors } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as State from "../training/State.ts"

const attempt = <A>(file: string, f: () => Promise<A>): TE.TaskEither<Failure.Failure, A> =>
  TE.tryCatch(f, (thrown) => Failure.inFile(file)(Failure.fromThrown(thrown)))

const exists = async (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  )

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const shown = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 60)

/** Where two configurations differ: `batch: 16 there, 8 here`. */
const differences = (there: unknown, here: unknown, path = ""): readonly string[] => {
  if (isDeepStrictEqual(there, here)) return []
  if (!isRecord(there) || !isRecord(here)) return [`${path}: ${shown(there)} there, ${shown(here)} here`]
  const keys = [...new Set([...Object.keys(there), ...Object.keys(here)])]
  return keys.flatMap((key) => differences(there[key], here[key], path === "" ? key : `${path}.${key}`))
}

/** Of many differences the first are named. */
const NAMED = 4

const otherRun = (there: unknown, here: unknown): string => {
  const all = differences(there, here)
  const more = all.length > NAMED ? `; ${all.length - NAMED} more` : ""
  return `the folder holds a run with another configuration (${all.slice(0, NAMED).join("; ")}${more}); name another folder, or begin again with --new`
}

/** Whether a folder holds a run with this configuration; one with another configuration is refused. */
export const holds = (folder: string, config: unknown): TE.TaskEither<Failure.Failure, boolean> => {
  const file = join(folder, "config.json")
  return attempt(file, async () => {
    if (!(await exists(file))) return false
    const [found, wanted] = [JSON.parse(await readFile(file, "utf8")), JSON.parse(JSON.stringify(config))] as const
    return isDeepStrictEqual(found, wanted) || Failure.raise("OtherRun", otherRun(found, wanted), { file })
  })
}

/** Opens a run for writing: one that the folder holds is continued. */
export const open = (folder: string, config: unknown): TE.TaskEither<Failure.Failure, void> =>
  pipe(
    holds(folder, config),
    TE.flatMap((isThere) =>
      isThere ? TE.right(undefined) : Files.write(join(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`),
    ),
  )

/** The configuration as it was written. */
export const config = (folder: string): TE.TaskEither<Failure.Failure, unknown> => {
  const file = join(folder, "config.json")
  return attempt(file, async () => JSON.parse(await readFile(file, "utf8")) as unknown)
}

export type Line = Readonly<Record<string, number | string>>

/** Cuts off what an interruption left of a last line: the next one would continue it. */
const mend = async (file: string): Promise<void> => {
  if (!(await exists(file))) return
  const text = await readFile(file)
  const whole = text.lastIndexOf("\n") + 1
  if (whole < text.length) await truncate(file, whole)
}

/** Appends lines to `name.jsonl`. */
export const append = (folder: string, name: string, lines: readonly Line[]): TE.TaskEither<Failure.Failure, void> => {
  const file = join(folder, `${name}.jsonl`)
  return attempt(file, async () => {
    await Files.folder(folder)
    await mend(file)
    await appendFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
  })
}

const parse = (line: string, number: number): Line => {
  try {
    return JSON.parse(line) as Line
  } catch {
    return Failure.raise("BadJson", `line ${number} is damaged`)
  }
}

/**
 * The lines of `name.jsonl`; of steps that were run twice (after an interruption) the last, and a torn last line is left
 * out. A file that is not there is empty.
 */
export const lines = (folder: string, name: string): TE.TaskEither<Failure.Failure, readonly Line[]> => {
  const file = join(folder, `${name}.jsonl`)
  return attempt(file, async () => {
    if (!(await exists(file))) return []
    const byKey = new Map<unknown, Line>()
    const text = await readFile(file, "utf8")
    for (const [i, line] of text.split("\n").slice(0, -1).entries()) {
      const parsed = parse(line, i + 1)
      const key = parsed.step ?? `line ${i}`
      byKey.delete(key)
      byKey.set(key, parsed)
    }
    return [...byKey.values()]
  })
}

const checkpointFolder = (folder: string): string => join(folder, "checkpoints")
export const checkpointFile = (folder: string, step: number): string =>
  join(checkpointFolder(folder), `${String(step).padStart(8, "0")}.safetensors`)

/** The steps that have a checkpoint, ascending. */
export const checkpoints = (folder: string): TE.TaskEither<Failure.Failure, readonly number[]> =>
  attempt(checkpointFolder(folder), async () => {
    if (!(await exists(checkpointFolder(folder)))) return []
    const names = await readdir(checkpointFolder(folder))
    return names
      .filter((name) => /^\d{8}\.safetensors$/.test(name))
      .map((name) => Number.parseInt(name, 10))
      .sort((a, b) => a - b)
  })

/** @param step number of iterations done: the next one has this index */
export const writeCheckpoint = (
  folder: string,
  step: number,
  state: Engine.Arrays,
): TE.TaskEither<Failure.Failure, void> =>
  Safetensors.write(checkpointFile(folder, step), State.toFile(state), { step: String(step) })

/** A training state in compute layout. */
export const readCheckpoint = (folder: string, step: number): TE.TaskEither<Failure.Failure, Engine.Arrays> =>
  pipe(
    Safetensors.read(checkpointFile(folder, step)),
    TE.map(({ tensors }) => State.toCompute(tensors as Flat.Flat<NdArray.NdArray<"float32" | "int32">>)),
  )

/** Removes all checkpoints but the last `keep` and those at multiples of `every` (never, when 0). */
export const prune = (folder: string, keep: number, every = 0): TE.TaskEither<Failure.Failure, void> =>
  pipe(
    checkpoints(folder),
    TE.flatMap((steps) =>
      attempt(folder, async () => {
        for (const step of steps.slice(0, Math.max(0, steps.length - keep)))
          if (every === 0 || step % every !== 0) await rm(checkpointFile(folder, step))
      }),
    ),
  )
