/** The files of an image set, read one at a time. */
import type { Failure } from "@adafm/core"
import type * as TE from "fp-ts/lib/TaskEither.js"
import type * as FileNames from "./FileNames.ts"

export interface FileSource {
  /** Paths with `/`, in byte order, without hidden files and `__MACOSX`. */
  readonly names: readonly string[]
  /** What has a name but is not a file. */
  readonly leftOut: readonly FileNames.LeftOut[]
  /** Bytes of a file. */
  readonly size: (name: string) => TE.TaskEither<Failure.Failure, number>
  /** Files of a disk or an archive have at most `Limits.BYTES`. */
  readonly read: (name: string) => TE.TaskEither<Failure.Failure, Uint8Array>
  readonly close: () => Promise<void>
}
