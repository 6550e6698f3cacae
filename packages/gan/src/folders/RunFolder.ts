/**
 * A run on disk: `config.json` (the run's configuration), `stats.jsonl` (one line per step),
 * `checkpoints/00001000.safetensors` (the whole training state after 1000 steps, in the file's layout) and `best.safetensors` (the
 * checkpoint with the best score so far, which stays when later ones replace it).
 */
import { Disk, Failure, Files, type Flat, Host, type NdArray, Path, Safetensors } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { dequal } from "dequal/lite"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as State from "../training/State.ts"
import * as ModelFolder from "./ModelFolder.ts"

const attempt = <A>(file: string, f: () => Promise<A>): TE.TaskEither<Failure.Failure, A> =>
  TE.tryCatch(f, (thrown) => Failure.inFile(file)(Failure.fromThrown(thrown)))

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const shown = (value: unknown): string => (JSON.stringify(value) ?? "not set").slice(0, 60)

/** Where two configurations differ: `batch: 16 in the folder, 8 now`. */
const differences = (found: unknown, wanted: unknown, path = ""): readonly string[] => {
  if (dequal(found, wanted)) return []
  if (!isRecord(found) || !isRecord(wanted)) return [`${path}: ${shown(found)} in the folder, ${shown(wanted)} now`]
  const keys = [...new Set([...Object.keys(found), ...Object.keys(wanted)])]
  return keys.flatMap((key) => differences(found[key], wanted[key], path === "" ? key : `${path}.${key}`))
}

/** Number of differences that the message names. */
const NAMED = 4

const otherRun = (found: unknown, wanted: unknown): string => {
  const all = differences(found, wanted)
  const more = all.length > NAMED ? `; and ${all.length - NAMED} more` : ""
  return `the folder holds a run with another configuration (${all.slice(0, NAMED).join("; ")}${more}); choose another folder with --out, or start again with --new`
}

/** Whether a folder holds a run with this configuration. A run with another configuration is an error. */
export const holds = (folder: string, config: unknown): TE.TaskEither<Failure.Failure, boolean> => {
  const file = Path.join(folder, "config.json")
  return attempt(file, async () => {
    if (!(await Files.exists(file))) return false
    const found = await Failure.orThrow(Files.readJson(file))
    const wanted: unknown = JSON.parse(JSON.stringify(config))
    return dequal(found, wanted) || Failure.raise("OtherRun", otherRun(found, wanted), { file })
  })
}

/** Opens a run for writing; a run that is already in the folder is continued. */
export const open = (folder: string, config: unknown): TE.TaskEither<Failure.Failure, void> =>
  pipe(
    holds(folder, config),
    TE.flatMap((isThere) =>
      isThere
        ? TE.right(undefined)
        : Files.write(Path.join(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`),
    ),
  )

/** The configuration that `open` wrote. */
export const config = (folder: string): TE.TaskEither<Failure.Failure, unknown> =>
  Files.readJson(Path.join(folder, "config.json"))

/** The values of one step by name; a record of texts says what the names mean. */
export type Line = Readonly<Record<string, number | string | Readonly<Record<string, string>>>>

const text = (lines: readonly Line[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join("")

/** Whether a file is empty or its last byte ends a line: nothing more is read of a file that grows with every step. */
const endsWithLine = async (file: string): Promise<boolean> => {
  const handle = await Disk.openFile(file)
  try {
    const { size } = await handle.stat()
    const last = new Uint8Array(1)
    return size === 0 || ((await Files.readInto(handle, last, size - 1)) === 1 && last[0] === 0x0a)
  } finally {
    await handle.close()
  }
}

/** Removes an incomplete last line, left by an interruption; otherwise the next line would be appended to it. */
const mend = async (file: string): Promise<void> => {
  if (!(await Files.exists(file))) return
  if (await endsWithLine(file)) return
  const text = await Failure.orThrow(Files.read(file))
  await Disk.truncate(file, text.lastIndexOf(0x0a) + 1)
}

/** Appends lines to `name.jsonl`. */
export const append = (folder: string, name: string, lines: readonly Line[]): TE.TaskEither<Failure.Failure, void> => {
  const file = Path.join(folder, `${name}.jsonl`)
  return attempt(file, async () => {
    await Files.folder(folder)
    await mend(file)
    await Disk.appendFile(file, text(lines))
  })
}

const isText = (value: unknown): value is string => typeof value === "string"
/** Only the labels of scores are an object. */
const isItem = (entry: readonly [string, unknown]): entry is [string, Line[string]] => {
  const [key, value] = entry
  const isLabels = key === "labels" && isRecord(value) && Object.values(value).every(isText)
  return typeof value === "number" || isText(value) || isLabels
}

/** A value that was not finite is null in JSON, and absent from the line. */
const parse = (text: string, number: number): Line => {
  const place = { path: `line ${number}` }
  const value = Failure.orThrow(Files.parseJson(text, place))
  const items = isRecord(value) ? Object.entries(value).filter(([, item]) => item !== null) : []
  const line = Object.fromEntries(items.filter(isItem))
  return isRecord(value) && Object.keys(line).length === items.length
    ? line
    : Failure.raise("BadLine", `expected an object of numbers and texts, found ${text.slice(0, 60)}`, place)
}

/**
 * The lines of `name.jsonl`. If a step was run twice (after an interruption), the last line of that step; an incomplete last line
 * is ignored. A missing file has no lines.
 */
export const lines = (folder: string, name: string): TE.TaskEither<Failure.Failure, readonly Line[]> => {
  const file = Path.join(folder, `${name}.jsonl`)
  return attempt(file, async () => {
    if (!(await Files.exists(file))) return []
    const byKey = new Map<unknown, Line>()
    const whole = await Failure.orThrow(Files.readText(file))
    for (const [i, line] of whole.split("\n").slice(0, -1).entries()) {
      const parsed = parse(line, i + 1)
      const key = parsed.step ?? `line ${i}`
      byKey.delete(key)
      byKey.set(key, parsed)
    }
    return [...byKey.values()]
  })
}

/** Removes the lines of steps beyond `until` from `name.jsonl`, before these steps are done again: the file then holds each step once. */
export const rewind = (folder: string, name: string, until: number): TE.TaskEither<Failure.Failure, void> =>
  pipe(
    lines(folder, name),
    TE.flatMap((all) => {
      const kept = all.filter(({ step }) => typeof step !== "number" || step <= until)
      const file = Path.join(folder, `${name}.jsonl`)
      return attempt(file, async () => {
        if (!(await Files.exists(file))) return
        const text = kept.map((line) => `${JSON.stringify(line)}\n`).join("")
        if (text !== (await Disk.readFile(file, "utf8"))) await Failure.orThrow(Files.write(file, text))
      })
    }),
  )

const checkpointFolder = (folder: string): string => Path.join(folder, "checkpoints")
export const checkpointFile = (folder: string, step: number): string =>
  Path.join(checkpointFolder(folder), `${String(step).padStart(8, "0")}.safetensors`)

/** The steps that have a checkpoint, in ascending order. */
export const checkpoints = (folder: string): TE.TaskEither<Failure.Failure, readonly number[]> =>
  attempt(checkpointFolder(folder), async () => {
    if (!(await Files.exists(checkpointFolder(folder)))) return []
    const names = await Disk.readdir(checkpointFolder(folder))
    return names
      .filter((name) => /^\d{8}\.safetensors$/.test(name))
      .map((name) => Number.parseInt(name, 10))
      .sort((a, b) => a - b)
  })

/** Removes temporary files that a process left when it was killed. Nobody may be writing in the folder. */
export const sweep = (folder: string): TE.TaskEither<Failure.Failure, void> =>
  attempt(folder, async () => {
    for (const place of [folder, checkpointFolder(folder)]) {
      const names = (await Files.exists(place)) ? await Disk.readdir(place) : []
      for (const name of names) if (/\.tmp-\w+$/.test(name)) await Disk.rm(Path.join(place, name), { force: true })
    }
  })

/** @param step number of iterations done, and so the index of the next one */
export const writeCheckpoint = (
  folder: string,
  step: number,
  state: Engine.Arrays,
): TE.TaskEither<Failure.Failure, void> =>
  Safetensors.write(checkpointFile(folder, step), State.toFile(state), { step: String(step) })

/** Damaged values, NaN and infinity are failures that name the file and the tensor. */
const readState = (file: string, note?: ModelFolder.Note): TE.TaskEither<Failure.Failure, Engine.Arrays> =>
  pipe(
    Safetensors.read(file),
    TE.tapIO(({ isChecked }) => () => {
      if (!isChecked) note?.(ModelFolder.unchecked(file))
    }),
    TE.flatMapEither(({ tensors }) => ModelFolder.finite(tensors as Flat.Flat<NdArray.NdArray<"float32" | "int32">>)),
    TE.map(State.toCompute),
    TE.mapLeft(Failure.inFile(file)),
  )

/** A training state in compute layout. @param note receives what users should know of the file */
export const readCheckpoint = (
  folder: string,
  step: number,
  note?: ModelFolder.Note,
): TE.TaskEither<Failure.Failure, Engine.Arrays> => readState(checkpointFile(folder, step), note)

export const bestFile = (folder: string): string => Path.join(folder, "best.safetensors")

/**
 * Keeps the checkpoint of a step as the best one, in place of an earlier one. It is a second name of the same file, so it needs no
 * space until the checkpoint is removed; where the file system has no such names, it is a copy.
 */
export const keepBest = (folder: string, step: number): TE.TaskEither<Failure.Failure, void> =>
  attempt(bestFile(folder), async () => {
    const [from, to] = [checkpointFile(folder, step), bestFile(folder)]
    const temporary = `${to}.tmp-link`
    await Disk.rm(temporary, { force: true })
    const isLinked = await Disk.link(from, temporary).then(
      () => true,
      () => false,
    )
    if (!isLinked) return Failure.orThrow(Files.write(to, await Failure.orThrow(Files.read(from))))
    // between two names of one file a rename does nothing, and the temporary name stays
    return Disk.rename(temporary, to).finally(() => Disk.rm(temporary, { force: true }))
  })

/** The step of the best checkpoint; undefined if none is kept. */
export const best = (folder: string): TE.TaskEither<Failure.Failure, number | undefined> => {
  const file = bestFile(folder)
  return Failure.attempt(async () => {
    if (!(await Files.exists(file))) return undefined
    const { metadata } = await Failure.orThrow(Safetensors.readHeader(file))
    const step = Number(metadata.step)
    return metadata.step !== undefined && Number.isSafeInteger(step) && step >= 0
      ? step
      : Failure.raise("BadCheckpoint", "expected a checkpoint, whose metadata names its `step`; it has none", { file })
  })
}

/** The training state of the best checkpoint, in compute layout. */
export const readBest = (folder: string, note?: ModelFolder.Note): TE.TaskEither<Failure.Failure, Engine.Arrays> =>
  readState(bestFile(folder), note)

/** Which checkpoints stay when a new one is written. */
export interface Kept {
  /** The latest ones. */
  readonly last: number
  /** Those at multiples of this many steps; none if 0. */
  readonly every?: number
  /** Others, as many as this number of bytes holds, and the disk with some room left; where it does not hold all, they are thinned out evenly. */
  readonly bytes?: number
}

/** The step whose removal leaves the smallest gap; the earliest of several. @param steps in ascending order */
const leastMissed = (steps: readonly number[], removable: ReadonlySet<number>): number | undefined => {
  const gaps = steps.flatMap((step, i) =>
    removable.has(step) ? [{ step, gap: (steps[i + 1] ?? step) - (steps[i - 1] ?? 0) }] : [],
  )
  return gaps.reduce<(typeof gaps)[number] | undefined>(
    (least, one) => (least !== undefined && least.gap <= one.gap ? least : one),
    undefined,
  )?.step
}

/** A disk with less room than this many checkpoints keeps none within a budget. */
const ROOM = 2

/** Removes all checkpoints but the kept ones. @returns how many it removed */
export const prune = (folder: string, { last, every = 0, bytes = 0 }: Kept): TE.TaskEither<Failure.Failure, number> =>
  pipe(
    checkpoints(folder),
    TE.flatMap((all) =>
      attempt(folder, async () => {
        const sizes = new Map<number, number>()
        for (const step of all.slice(0, Math.max(0, all.length - last)))
          if (every === 0 || step % every !== 0) sizes.set(step, (await Disk.stat(checkpointFile(folder, step))).size)
        const isTooMuch = async (): Promise<boolean> => {
          if (sizes.size === 0) return false
          if ([...sizes.values()].reduce((sum, size) => sum + size, 0) > bytes) return true
          return ((await Host.freeDisk(folder)) ?? Number.POSITIVE_INFINITY) < ROOM * Math.max(...sizes.values())
        }
        let [steps, removed] = [all, 0]
        while (await isTooMuch()) {
          const step = leastMissed(steps, new Set(sizes.keys()))!
          await Disk.rm(checkpointFile(folder, step))
          sizes.delete(step)
          steps = steps.filter((other) => other !== step)
          removed++
        }
        return removed
      }),
    ),
  )
