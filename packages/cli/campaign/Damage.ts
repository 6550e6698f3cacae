/** Damaged files of every format: is the damage noticed, and named, in bounded time and memory? */
import { cp, readFile, rm, writeFile } from "node:fs/promises"
import { join, relative } from "node:path"
import { Rng } from "@adafm/core"
import { Mutation } from "@adafm/testkit"
import * as Formats from "./Formats.ts"
import type { Trial } from "./Ledger.ts"
import * as Reader from "./Reader.ts"
import * as Verdict from "./Verdict.ts"

/** Names of the formats. */
export const rows = Object.keys(Formats.all)

/** Of so many trials of a fast format, those of this one: at least one. */
export const timesOf = (row: string, times: number): number =>
  Math.ceil(Formats.all[row]!.isSlow === true ? times / 10 : times)

export interface Bench {
  /** The trial of this number. Equal numbers and seeds are the same trial. */
  readonly trial: (row: string, number: number) => Promise<Trial>
  readonly close: () => void
}

interface Whole {
  readonly bytes: Uint8Array
  /** The folder that is copied for each trial. */
  readonly folder: string
  readonly file: string
  readonly path: string
  readonly digest: string
}

/** The damage of a trial. Equal numbers give equal damage. */
export const of = (whole: Uint8Array, seed: number, file: string, trial: number): Mutation.Damaged => {
  const { data } = Rng.uniform(Rng.at(seed, `campaign/${file}`, trial), [4])
  return Mutation.of(whole, [...data] as [number, number, number, number])
}

/** @param folder for the files, which are removed with it */
export const open = (folder: string, seed: number): Bench => {
  const reader = Reader.open()
  const known = new Map<string, Promise<Whole>>()
  const prepare = async (row: string): Promise<Whole> => {
    const place = join(folder, String(rows.indexOf(row)))
    await rm(place, { recursive: true, force: true })
    const { file, path } = await Formats.prepare(row, join(place, "whole"))
    const outcome = await reader.read({ format: row, path })
    if (typeof outcome === "string" || "failure" in outcome)
      throw new Error(`the whole file of ${row} is not read: ${JSON.stringify(outcome)}`)
    return { bytes: await readFile(file), folder: place, file, path, digest: outcome.digest }
  }
  const wholeOf = (row: string): Promise<Whole> => {
    const found = known.get(row) ?? prepare(row)
    known.set(row, found)
    return found
  }
  return {
    close: reader.close,
    trial: async (row, number) => {
      const whole = await wholeOf(row)
      const copy = join(whole.folder, "copy")
      const inCopy = (path: string): string => join(copy, relative(join(whole.folder, "whole"), path))
      const { kind, at, bytes } = of(whole.bytes, seed, row, number)
      await rm(copy, { recursive: true, force: true })
      await cp(join(whole.folder, "whole"), copy, { recursive: true })
      await writeFile(inCopy(whole.file), bytes)
      const outcome = await reader.read({ format: row, path: inCopy(whole.path) })
      const verdict =
        typeof outcome === "string" ? outcome : Verdict.of(outcome, whole.digest, Formats.all[row]!.hasChecksum)
      const said =
        typeof outcome !== "string" && "failure" in outcome
          ? `: ${outcome.failure._tag}, ${outcome.failure.message}`
          : ""
      return { row, number, verdict, detail: `${kind} at byte ${at} of ${whole.bytes.length}${said}` }
    },
  }
}
