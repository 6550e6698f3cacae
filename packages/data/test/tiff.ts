/** TIFF files of any element type, built from bytes: little-endian, one strip. */
type Samples = Float32Array | Uint16Array | Uint32Array | Int16Array | Uint8Array

const FORMATS = [
  [Float32Array, 3],
  [Int16Array, 2],
] as const

/** @param channels 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA */
export const tiff = (width: number, height: number, channels: 1 | 2 | 3 | 4, samples: Samples): Uint8Array => {
  const bits = 8 * samples.BYTES_PER_ELEMENT
  const format = FORMATS.find(([type]) => samples instanceof type)?.[1] ?? 1
  const SHORT = 3
  const LONG = 4
  /** Values of two bytes that do not fit into their entry. */
  const lists: number[][] = []
  const tags: readonly (readonly [tag: number, type: number, values: readonly number[]])[] = [
    [256, SHORT, [width]],
    [257, SHORT, [height]],
    [258, SHORT, Array(channels).fill(bits)],
    [259, SHORT, [1]],
    [262, SHORT, [channels < 3 ? 1 : 2]],
    [273, LONG, [0]],
    [277, SHORT, [channels]],
    [278, SHORT, [height]],
    [279, LONG, [samples.byteLength]],
    ...(channels % 2 === 0 ? [[338, SHORT, [2]] as const] : []),
    [339, SHORT, Array(channels).fill(format)],
  ]
  const directory = 8
  const after = directory + 2 + 12 * tags.length + 4
  const begin = after + 8 * 2
  const out = Buffer.alloc(begin)
  out.write("II")
  out.writeUInt16LE(42, 2)
  out.writeUInt32LE(directory, 4)
  out.writeUInt16LE(tags.length, directory)
  tags.forEach(([tag, type, values], i) => {
    const at = directory + 2 + 12 * i
    out.writeUInt16LE(tag, at)
    out.writeUInt16LE(type, at + 2)
    out.writeUInt32LE(values.length, at + 4)
    if (tag === 273) out.writeUInt32LE(begin, at + 8)
    else if (type === LONG) out.writeUInt32LE(values[0]!, at + 8)
    else if (values.length <= 2) for (const [k, v] of values.entries()) out.writeUInt16LE(v, at + 8 + 2 * k)
    else {
      const place = after + 8 * lists.push([...values]) - 8
      for (const [k, v] of values.entries()) out.writeUInt16LE(v, place + 2 * k)
      out.writeUInt32LE(place, at + 8)
    }
  })
  return Buffer.concat([out, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)])
}
