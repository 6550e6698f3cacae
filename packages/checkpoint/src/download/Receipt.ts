/**
 * The whole SHA-256 of a download in a file next to it, in the format of `sha256sum`. If the publisher pins only eight digits,
 * the first download is accepted by these alone, and every later one must be equal to it, bit for bit.
 */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { basename } from "node:path"
import { Failure, Files } from "@adafm/core"

const HASH = /^[0-9a-f]{64}$/

/** The path of a file's receipt. */
export const pathOf = (file: string): string => `${file}.sha256`

/** The recorded hash of a file, which itself may be gone. */
export const read = async (file: string): Promise<string | undefined> => {
  const receipt = pathOf(file)
  if (!existsSync(receipt)) return undefined
  const [hash = ""] = (await readFile(receipt, "utf8")).split(/\s/)
  return HASH.test(hash)
    ? hash
    : Failure.raise(
        "BadReceipt",
        "the receipt does not begin with a SHA-256 of 64 hex digits; delete it to start over",
        { file: receipt },
      )
}

export const write = (file: string, sha256: string): Promise<void> =>
  Failure.orThrow(Files.write(pathOf(file), `${sha256}  ${basename(file)}\n`))
