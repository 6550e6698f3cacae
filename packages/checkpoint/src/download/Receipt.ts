/**
 * What a download was: its whole SHA-256 in a file beside it, as `sha256sum` writes and checks it. Where a publisher pins eight
 * digits, the first download is believed by these alone, and every later one must be the same to the bit.
 */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { basename } from "node:path"
import { Failure, Files } from "@adafm/core"

const HASH = /^[0-9a-f]{64}$/

/** Where the receipt of a file lies. */
export const pathOf = (file: string): string => `${file}.sha256`

/** The recorded hash of a file, whether or not the file is still there. */
export const read = async (file: string): Promise<string | undefined> => {
  const receipt = pathOf(file)
  if (!existsSync(receipt)) return undefined
  const [hash = ""] = (await readFile(receipt, "utf8")).split(/\s/)
  return HASH.test(hash)
    ? hash
    : Failure.raise("BadReceipt", "the receipt holds no SHA-256: delete it to begin anew", { file: receipt })
}

export const write = (file: string, sha256: string): Promise<void> =>
  Failure.orRaise(Files.write(pathOf(file), `${sha256}  ${basename(file)}\n`))
