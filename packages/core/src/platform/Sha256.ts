/** SHA-256 (FIPS 180-4), computed at once or in parts; in Node by OpenSSL, in a browser in JavaScript. */
import { createHash } from "node:crypto"
import type { Hash } from "./Hash.ts"

export type { Hash } from "./Hash.ts"

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
