/**
 * What finished cells leave. A machine makes it under `runs/cells/<id>/`; what is small is committed beside the experiments, so that
 * the next machine finds the cell done.
 */
import { existsSync } from "node:fs"
import { stat } from "node:fs/promises"
import { join } from "node:path"
import { Failure, Files } from "@adafm/core"
import * as Catalogue from "../declare/Catalogue.ts"

export type Kind = "cells" | "floors" | "trainings"

const RUNS = "runs"
/** Names another folder: there everything is made anew, as nothing that is committed counts. */
const AFRESH = "ADAFM_RUNS_AFRESH"

/** Where this machine makes things. */
export const own = (kind: Kind, ...rest: readonly string[]): string => join(process.env[AFRESH] ?? RUNS, kind, ...rest)

/** From here on this process makes everything anew. */
export const afresh = (folder: string): void => {
  process.env[AFRESH] = folder
}

/** Where a file lies, this machine's own first. */
export const find = (kind: Kind, ...rest: readonly string[]): string | undefined => {
  const committed = process.env[AFRESH] === undefined ? [join(Catalogue.lab, "bank", kind, ...rest)] : []
  return [own(kind, ...rest), ...committed].find(existsSync)
}

/** Nothing that is larger is committed. */
const MOST = 400_000 // bytes

/** Copies files into a folder that is committed, unless they are there. */
export const publish = async (bank: string, kind: Kind, paths: readonly (readonly string[])[]): Promise<void> => {
  for (const rest of paths) {
    const [from, to] = [own(kind, ...rest), join(bank, kind, ...rest)]
    if (!existsSync(from) || existsSync(to) || (await stat(from)).size > MOST) continue
    // a half copy would stay for good
    await Failure.orRaise(Files.write(to, await Failure.orRaise(Files.read(from))))
  }
}
