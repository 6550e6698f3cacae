/** A hash that is computed at once or in parts. */
export interface Hash {
  /** Adds bytes, or a text as UTF-8. */
  readonly update: (part: string | Uint8Array) => Hash
  /** The 32 bytes of the hash; the last call. */
  readonly bytes: () => Uint8Array
  /** The hash as 64 hex digits; the last call. */
  readonly hex: () => string
}
