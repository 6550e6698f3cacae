/** Properties of a file that other programs decode differently. */
export const ODDITIES = ["turned", "transparent", "deep", "floating", "cmyk", "animated"] as const
export type Oddity = (typeof ODDITIES)[number]
