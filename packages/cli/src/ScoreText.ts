/** Scores of a training, in short. */

/** `FID`, `FID-768`, `FID (embedded)`: a label without its details, which a note prints once. */
export const short = (label: string): string =>
  label.replace(/ \(inception-(\d+)\)$/, "-$1").replace(/, [^()]*\)$/, ")")

export const digits = (value: number): string => String(+value.toPrecision(4))

/** `KID-768 0.0284` */
export const of = (label: string, value: number): string => `${short(label)} ${digits(value)}`
