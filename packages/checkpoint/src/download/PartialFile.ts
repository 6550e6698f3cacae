/**
 * A download that is not complete: `FILE.part`, and `FILE.part.etag` with the version of the file that its server sent. Never a link:
 * writing through one would change a file elsewhere.
 */
import { constants } from "node:fs"
import { type FileHandle, lstat, open, rm } from "node:fs/promises"
import { Failure, Files } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"

const versionOf = (part: string): string => `${part}.etag`

export const remove = async (part: string): Promise<void> => {
  await rm(part, { force: true })
  await rm(versionOf(part), { force: true })
}

/** Bytes that are there; 0 if there is nothing. What is not a plain file with one name is removed first, but not a folder. */
export const size = async (part: string): Promise<number> => {
  const found = await lstat(part).catch(() => undefined)
  if (found === undefined || found.isDirectory()) return 0
  if (found.isFile() && found.nlink === 1) return found.size
  await remove(part)
  return 0
}

/** What `If-Range` needs: the strong `ETag`, or else the date, of the bytes that are there. */
export const version = async (part: string): Promise<string | undefined> => {
  const text = await Files.read(versionOf(part), 1024)()
  return E.isRight(text) ? new TextDecoder().decode(text.right).trim() || undefined : undefined
}

/** Records the version of a file whose first byte is about to be written. */
const setVersion = async (part: string, { headers }: Response): Promise<void> => {
  const etag = headers.get("etag")
  const found = etag !== null && !etag.startsWith("W/") ? etag : headers.get("last-modified")
  await rm(versionOf(part), { force: true })
  if (found !== null) await Failure.orThrow(Files.write(versionOf(part), `${found}\n`))
}

/** Opens it for writing from its end or, unless `resumed`, from its beginning. Links are refused (`O_NOFOLLOW`, absent on Windows). */
export const write = async (part: string, resumed: boolean, response: Response): Promise<FileHandle> => {
  if (!resumed) await setVersion(part, response)
  const { O_WRONLY, O_CREAT, O_APPEND, O_TRUNC, O_NOFOLLOW = 0 } = constants
  return open(part, O_WRONLY | O_CREAT | O_NOFOLLOW | (resumed ? O_APPEND : O_TRUNC))
}
