/** CRC-32C (Castagnoli), as TensorFlow and LevelDB store it. https://datatracker.ietf.org/doc/html/rfc3720#appendix-B.4 */

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1
  return c
})

/** @param before the checksum of the bytes in front of these */
export const of = (bytes: Uint8Array, before = 0): number => {
  let c = ~before
  for (const byte of bytes) c = table[(c ^ byte) & 255]! ^ (c >>> 8)
  return ~c >>> 0
}

/** The form that is stored, so that the checksum of data with checksums in them is of use. */
export const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
