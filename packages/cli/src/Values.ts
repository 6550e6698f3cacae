/** Values of flags and configuration files: text from the command line, or what YAML has already parsed. */
import { z } from "zod"

const fromText =
  (read: (text: string) => unknown) =>
  (value: unknown): unknown =>
    typeof value === "string" ? read(value) : value

const toNumber = fromText((text) => (text.trim() === "" ? text : Number(text)))
/** YAML parses `1` as a number where the command line has text. */
const toText = (value: unknown): unknown => (typeof value === "number" ? String(value) : value)
const split = fromText((text) => text.split(",").map((part) => part.trim()))

/** @param expected completes the message of a refusal: "expected …" */
const numberThat = (expected: string, isValid: (value: number) => boolean) => {
  const error = `expected ${expected}`
  return z.preprocess(toNumber, z.number({ error }).refine(isValid, { error }))
}

export const number = numberThat("a number", () => true)
export const positive = numberThat("a number above 0", (value) => value > 0)
export const nonnegative = numberThat("a number, 0 or more", (value) => value >= 0)
export const integer = numberThat("a whole number", Number.isSafeInteger)
export const natural = numberThat("a whole number, 0 or more", (value) => Number.isSafeInteger(value) && value >= 0)
export const count = numberThat("a whole number, 1 or more", (value) => Number.isSafeInteger(value) && value >= 1)
/** With a limit, so that a slip of the finger is refused and does not fill the memory for minutes. */
const countTo = (most: number) =>
  numberThat(
    `a whole number from 1 to ${most.toLocaleString("en")}`,
    (value) => Number.isSafeInteger(value) && value >= 1 && value <= most,
  )
/** Images in a batch; published GANs use up to 2,048. */
export const batch = countTo(8192)
/** Height and width in pixels. */
export const pixels = countTo(8192)
/** Channels of a layer, numbers of a latent vector. */
export const width = countTo(65_536)
/** Pictures that are made or counted in one call. */
export const pictures = countTo(1_000_000)
export const threads = countTo(1024)
export const flag = z.boolean({ error: "expected true or false" })
export const text = z.string({ error: "expected text" }).min(1, { error: "expected text that is not empty" })
/** A folder by one name: without the slash that a shell appends when it completes a path. */
export const folder = text.transform((path) => path.replace(/(?<=[^/\\:])[/\\]+$/, ""))

const LIST = { error: "expected a list such as a,b" }
/** `a,b,c` */
export const list = z.preprocess(
  (value) => split(toText(value)),
  z.array(z.preprocess(toText, text), LIST).min(1, LIST),
)
export const listOf = <const A extends readonly string[]>(names: A) =>
  z.preprocess(split, z.array(z.enum(names), LIST).min(1, LIST))

const range = (part: string): readonly number[] | undefined => {
  const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim())
  if (match === null) return undefined
  const [from, to] = [Number(match[1]), Number(match[2] ?? match[1])]
  return from <= to && to - from < 1e6 ? Array.from({ length: to - from + 1 }, (_, i) => from + i) : undefined
}

/** `0-15,31` */
export const ranges = z.string().transform((text, context): readonly number[] => {
  const parts = text.split(",").map(range)
  const total = parts.reduce((sum, part) => sum + (part?.length ?? 0), 0)
  if (parts.every((part) => part !== undefined) && total <= 1e6) return parts.flat()
  context.addIssue({ code: "custom", message: "expected numbers and ranges such as 0-15,31" })
  return z.NEVER
})

/** The same from the command line; from YAML also a list or a number. */
export const rangesOrList = z.preprocess((value) => (Array.isArray(value) ? value.join(",") : toText(value)), ranges)

/** Kinds of `Modulate.Config`, written out here because help texts must not wait for TensorFlow.js to load. */
export const MODULATIONS = [
  "adafm",
  "scale",
  "shift",
  "filter-selection",
  "feature-statistics",
  "rank-one",
  "kml",
  "low-rank",
  "mfilm",
  "fine-tuning",
  "input-conditioned",
  "input-conditioned-another",
  "input-conditioned-constant",
] as const
