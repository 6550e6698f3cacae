/** The part of SVG that the drawings need. Every number has at most two decimals, so equal drawings are equal bytes. */

export interface Colour {
  /** Degrees. */
  readonly hue: number
  /** Per cent. */
  readonly saturation: number
  /** Per cent. */
  readonly lightness: number
}

export type Point = readonly [x: number, y: number]

const clip = (v: number, low: number, high: number): number => Math.min(high, Math.max(low, v))

export const num = (v: number): string => String(Math.round(v * 100) / 100)

export const hsl = (hue: number, saturation: number, lightness: number): Colour => ({ hue, saturation, lightness })

/** The colour lightened (positive) or darkened by a number of per cent. */
export const shade = ({ hue, saturation, lightness }: Colour, by: number): Colour => ({
  hue,
  saturation,
  lightness: clip(lightness + by, 3, 98),
})

/** The colour with its hue rotated by an angle in degrees. */
export const turned = ({ hue, ...rest }: Colour, by: number): Colour => ({ hue: hue + by, ...rest })

/** The colour as `#rrggbb`. */
export const css = ({ hue, saturation, lightness }: Colour): string => {
  const [s, l] = [clip(saturation, 0, 100) / 100, clip(lightness, 0, 100) / 100]
  const channel = (n: number): string => {
    const k = (((n + hue / 30) % 12) + 12) % 12
    const v = l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1))
    return Math.round(255 * v)
      .toString(16)
      .padStart(2, "0")
  }
  return `#${channel(0)}${channel(8)}${channel(4)}`
}

const stops = (colours: readonly (readonly [offset: number, colour: Colour, opacity?: number])[]): string =>
  colours
    .map(([offset, colour, opacity = 1]) => {
      const alpha = opacity === 1 ? "" : ` stop-opacity="${num(opacity)}"`
      return `<stop offset="${num(offset)}" stop-color="${css(colour)}"${alpha}/>`
    })
    .join("")

export const vertical = (id: string, colours: Parameters<typeof stops>[0]): string =>
  `<linearGradient id="${id}" x1="0" y1="0" x2="0" y2="1">${stops(colours)}</linearGradient>`

/** A radial gradient; centre and radius are relative to the shape. */
export const radial = (id: string, colours: Parameters<typeof stops>[0], [x, y]: Point = [0.5, 0.5], r = 0.5): string =>
  `<radialGradient id="${id}" cx="${num(x)}" cy="${num(y)}" r="${num(r)}">${stops(colours)}</radialGradient>`

/** A radial gradient around the origin of the drawing, which the petals of a flower share. @param r radius */
export const around = (id: string, r: number, colours: Parameters<typeof stops>[0]): string =>
  `<radialGradient id="${id}" gradientUnits="userSpaceOnUse" cx="0" cy="0" r="${num(r)}">${stops(colours)}</radialGradient>`

export const ellipse = ([x, y]: Point, [rx, ry]: Point, fill: string, more = ""): string =>
  `<ellipse cx="${num(x)}" cy="${num(y)}" rx="${num(rx)}" ry="${num(ry)}" fill="${fill}"${more}/>`

/** A path of numbers and letters, e.g. `path(["M", 0, 0, "Q", 1, 2, 3, 4], …)`. */
export const path = (d: readonly (string | number)[], fill: string, more = ""): string =>
  `<path d="${d.map((v) => (typeof v === "number" ? num(v) : v)).join(" ")}" fill="${fill}"${more}/>`

export const group = (transform: string, content: readonly string[]): string =>
  `<g transform="${transform}">${content.join("")}</g>`

export const move = ([x, y]: Point): string => `translate(${num(x)} ${num(y)})`
export const turn = (degrees: number): string => `rotate(${num(degrees)})`
export const stretch = (x: number, y = x): string => `scale(${num(x)} ${num(y)})`

/** A picture 100 units wide and high. */
export const document = (size: number, definitions: readonly string[], content: readonly string[]): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}" viewBox="0 0 100 100"><defs>${definitions.join("")}</defs>${content.join("")}</svg>`
