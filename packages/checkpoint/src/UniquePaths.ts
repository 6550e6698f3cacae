/** Records by path in which no entry may replace another. */
import { Failure, type Flat } from "@adafm/core"

/** Adds an entry; a second one under the same path is refused, because the two could not be told apart later. */
export const add = <A>(record: Record<Flat.Path, A>, path: Flat.Path, value: A): void => {
  if (path in record) Failure.raise("DuplicatePath", "two entries of the file have this path", { path })
  record[path] = value
}
