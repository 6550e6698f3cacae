/** PNG pictures next to each other, each with a caption. */

export interface Picture {
  readonly png: Uint8Array
  readonly caption: string
  /** Text for readers who cannot see the picture; the caption by default. */
  readonly alt?: string
}

export interface PictureGrid {
  readonly pictures: readonly Picture[]
  /** Small pictures are enlarged to at most half of this width, CSS pixels; 560 by default. */
  readonly width?: number
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

/** Width and height in pixels, from the header. Throws where the bytes are not PNG. */
export const sizeOf = (png: Uint8Array): readonly [width: number, height: number] => {
  if (!SIGNATURE.every((byte, i) => png[i] === byte))
    throw new Error(`expected a PNG picture, found ${png.length} bytes without its signature`)
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength)
  return [view.getUint32(16), view.getUint32(20)]
}

const base64 = (bytes: Uint8Array): string => {
  let text = ""
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(text)
}

const dataUrl = (png: Uint8Array): string => `data:image/png;base64,${base64(png)}`

/** One `<div>` with the pictures embedded. Small pictures are enlarged by a whole number, without smoothing. */
export const html = ({ pictures, width = 560 }: PictureGrid, escaped: (s: string) => string): string => {
  const figures = pictures.map(({ png, caption, alt = caption }) => {
    const [w, h] = sizeOf(png)
    const scale = Math.max(1, Math.floor(width / w / 2))
    return `<figure><img src="${dataUrl(png)}" width="${w * scale}" height="${h * scale}" alt="${escaped(alt)}"><figcaption>${escaped(caption)}</figcaption></figure>`
  })
  return `<div class="grid">${figures.join("\n")}</div>`
}
