/** SHA-256 (FIPS 180-4), computed at once or in parts; in Node by OpenSSL, in a browser in JavaScript. */
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"

export interface Hash {
  /** Adds bytes, or a text as UTF-8. */
  readonly update: (part: string | Uint8Array) => Hash
  /** The 32 bytes of the hash; the last call. */
  readonly bytes: () => Uint8Array
  /** The hash as 64 hex digits; the last call. */
  readonly hex: () => string
}

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
