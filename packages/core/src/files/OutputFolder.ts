/** A folder of files that appears whole or not at all. */

import type * as TE from "fp-ts/lib/TaskEither.js"
import { mkdir, readdir, rename, rm } from "#platform/Disk"
import * as Host from "#platform/Host"
import { dirname, join, resolve } from "#platform/Path"
import * as Failure from "../Failure.ts"
import * as Files from "./Files.ts"

type Content = string | Uint8Array | Iterable<Uint8Array>

/**
 * Writes into a temporary folder next to `out` and renames it. A folder that contains only files of these names is replaced; one
 * that contains any other file is an error (`OutputExists`).
 */
export const write = (out: string, files: Readonly<Record<string, Content>>): TE.TaskEither<Failure.Failure, void> =>
  Failure.attempt(async () => {
    const target = resolve(out)
    if (await Files.exists(target)) {
      const others = (await readdir(target)).filter((name) => !(name in files))
      if (others.length > 0)
        Failure.raise(
          "OutputExists",
          `the folder contains other files (${others.slice(0, 3).join(", ")}): choose a new or an empty folder`,
          { file: out },
        )
    }
    const temporary = `${target}.tmp-${Host.id}`
    const old = `${target}.old-${Host.id}`
    await Files.folder(dirname(target))
    try {
      await mkdir(temporary)
      for (const [name, content] of Object.entries(files)) {
        await Failure.orThrow(Files.write(join(temporary, name), content))
      }
      if (await Files.exists(target)) await rename(target, old)
      await Files.move(temporary, target)
    } catch (thrown) {
      await rm(temporary, { recursive: true, force: true })
      if (!(await Files.exists(target)) && (await Files.exists(old))) await rename(old, target)
      throw thrown
    }
    await rm(old, { recursive: true, force: true })
  })
