/** Test data in the folder `../shared` next to the checkout, which a user's clone does not have. */
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../../../shared/", import.meta.url))

/** Absolute path of a file or folder of the shared data, or `undefined` if it is absent. */
export const path = (relative: string): string | undefined =>
  existsSync(root + relative) ? root + relative : undefined

/** For `describe.skipIf(...)`: true, with a message on stderr, if a needed file is absent. */
export const missing = (...relatives: readonly string[]): boolean => {
  const absent = relatives.filter((r) => path(r) === undefined)
  if (absent.length > 0) console.warn(`skipped: ../shared/${absent[0]} is missing`)
  return absent.length > 0
}
