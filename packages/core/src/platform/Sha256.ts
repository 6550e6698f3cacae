/** SHA-256 (FIPS 180-4), computed at once or in parts; in Node by OpenSSL, in a browser in JavaScript. */
import { createHash } from "node:crypto"

export interface Hash {
  /** Adds bytes, or a text as UTF-8. */
  readonly update: (part: string | Uint8Array) => Hash
  /** The 32 bytes of the hash; the last call. */
  readonly bytes: () => Uint8Array
  /** The hash as 64 hex digits; the last call. */
  readonly hex: () => string
}

export const make = (): Hash => {
  const hash = createHash("sha256")
  const self: Hash = {
    update: (part) => {
      hash.update(part)
      return self
    },
    bytes: () => hash.digest(),
    hex: () => hash.digest("hex"),
  }
  return self
}
