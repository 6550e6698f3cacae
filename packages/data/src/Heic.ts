/** HEIC is not decoded, because HEVC is patented. Some phones name its files `.jpg`. */
import { Bytes } from "@adafm/core"

/** A box of the type `ftyp` whose first brand is one of HEIC's. */
const START = /^.{4}ftyp(hei|hev|mif|msf)/s

export const isHeic = (bytes: Uint8Array): boolean => START.test(Bytes.toLatin1(bytes.subarray(0, 12)))

/** Why such a file is refused. */
export const REFUSAL = "this is a HEIC file, which is not supported; convert it to JPEG"
