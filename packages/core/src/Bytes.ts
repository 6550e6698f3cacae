/** Bytes joined, and as text of one byte a character. */

export const concat = (parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> => {
  const joined = new Uint8Array(parts.reduce((size, { length }) => size + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

/** Characters in one call of `fromCharCode`, which takes each as an argument. */
const BLOCK = 8192

/** ISO 8859-1: every byte is the character of that number. (`TextDecoder` reads `latin1` as Windows-1252.) */
export const toLatin1 = (bytes: Uint8Array): string => {
  let text = ""
  for (let at = 0; at < bytes.length; at += BLOCK) text += String.fromCharCode(...bytes.subarray(at, at + BLOCK))
  return text
}

/** The inverse of `toLatin1`. */
export const fromLatin1 = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))
