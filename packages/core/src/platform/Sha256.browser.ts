/** SHA-256 (FIPS 180-4), computed at once or in parts; in Node by OpenSSL, in a browser in JavaScript. */
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import type { Hash } from "./Hash.ts"

export type { Hash } from "./Hash.ts"

/** Synchronous, unlike the browser's own `crypto.subtle`: random streams are keyed by hashes in the middle of a computation. */
export const make = (): Hash => {
  const hash = sha256.create()
  const self: Hash = {
    update: (part) => {
      hash.update(typeof part === "string" ? utf8ToBytes(part) : part)
      return self
    },
    bytes: () => hash.digest(),
    hex: () => bytesToHex(hash.digest()),
  }
  return self
}
