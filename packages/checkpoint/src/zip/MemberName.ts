/** The name of a member of a zip file, which is no plain text: it has one of two encodings, and archivers write paths in several ways. */
import { crc32 } from "#zip/Deflate"

export interface Stored {
  readonly bytes: Uint8Array
  readonly flags: number
  /** The extra fields of the member. */
  readonly extra: DataView
}

/** The flag of names in UTF-8. */
export const UTF8 = 0x800

/** The upper half of code page 437, in which names without that flag are written. */
const CP437 =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0"

const utf8 = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)

const cp437 = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => (byte < 128 ? String.fromCharCode(byte) : CP437[byte - 128]!)).join("")

/** The extra field "up" of Info-ZIP: the name in UTF-8, if it belongs to the stored one. */
const unicode = ({ bytes, extra }: Stored): string | undefined => {
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    const end = at + 4 + extra.getUint16(at + 2, true)
    if (extra.getUint16(at, true) !== 0x7075 || end - at < 9 || end > extra.byteLength) continue
    const isOwn = extra.getUint8(at + 4) === 1 && extra.getUint32(at + 5, true) === crc32(bytes) >>> 0
    if (isOwn) return utf8(new Uint8Array(extra.buffer, extra.byteOffset + at + 9, end - at - 9))
  }
  return undefined
}

const leavesFolder = (name: string): boolean =>
  name === "" || name.startsWith("/") || /^[A-Za-z]:|\0/.test(name) || name.split("/").includes("..")

/** UTF-8, as PyTorch and NumPy write it, and nothing but a plain path. */
export const strict = ({ bytes }: Stored): string | undefined => {
  const name = new TextDecoder().decode(bytes)
  return leavesFolder(name) || name.includes("\\") || name.split("/").includes(".") ? undefined : name
}

/** As archivers write names: in either encoding, with the separators of Windows, or with `./` before them. */
export const usual = (stored: Stored): string | undefined => {
  const text = unicode(stored) ?? (stored.flags & UTF8 ? utf8(stored.bytes) : cp437(stored.bytes))
  const name = text
    .replaceAll("\\", "/")
    .split("/")
    .filter((part, i, parts) => part !== "." || i === parts.length - 1)
    .join("/")
  return leavesFolder(name) ? undefined : name
}
