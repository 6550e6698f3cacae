/**
 * The files of finished cells. A machine writes them under `runs/`; the small ones are copied to `lab/bank`, which is committed, so
 * that the next machine finds the cell done.
 */
import { existsSync } from "node:fs"
import { stat } from "node:fs/promises"
import { join } from "node:path"
import { Failure, Files } from "@adafm/core"
import * as Catalogue from "../declare/Catalogue.ts"

export type Kind = "cells" | "floors" | "trainings"

const RUNS = "runs"
/** An environment variable that replaces `runs/`; the bank is ignored then. */
const AFRESH = "ADAFM_RUNS_AFRESH"

/** A path in this machine's own folder. */
export const own = (kind: Kind, ...rest: readonly string[]): string => join(process.env[AFRESH] ?? RUNS, kind, ...rest)

/** From here on this process uses `folder` alone and so runs everything again. */
export const afresh = (folder: string): void => {
  process.env[AFRESH] = folder
}

/** The path of a file in this machine's folder or else in the bank. */
export const find = (kind: Kind, ...rest: readonly string[]): string | undefined => {
  const committed = process.env[AFRESH] === undefined ? [join(Catalogue.lab, "bank", kind, ...rest)] : []
  return [own(kind, ...rest), ...committed].find(existsSync)
}

/** Larger files are not committed. */
const MOST = 400_000 // bytes

/** Copies files into the bank, unless they are there already. */
export const publish = async (bank: string, kind: Kind, paths: readonly (readonly string[])[]): Promise<void> => {
  for (const rest of paths) {
    const [from, to] = [own(kind, ...rest), join(bank, kind, ...rest)]
    if (!existsSync(from) || existsSync(to) || (await stat(from)).size > MOST) continue
    // written whole: an interrupted copy would count as there
    await Failure.orThrow(Files.write(to, await Failure.orThrow(Files.read(from))))
  }
}
