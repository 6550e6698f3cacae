/** Values of flags and configuration files: text from a command line, or what YAML has already read. */
import { z } from "zod"

const fromText =
  (read: (text: string) => unknown) =>
  (value: unknown): unknown =>
    typeof value === "string" ? read(value) : value

const toNumber = fromText((text) => (text.trim() === "" ? text : Number(text)))
/** YAML reads `1` as a number where a command line has text. */
const toText = (value: unknown): unknown => (typeof value === "number" ? String(value) : value)
const split = fromText((text) => text.split(",").map((part) => part.trim()))

export const number = z.preprocess(toNumber, z.number())
export const positive = z.preprocess(toNumber, z.number().positive())
export const nonnegative = z.preprocess(toNumber, z.number().nonnegative())
export const integer = z.preprocess(toNumber, z.number().int())
/** 0, 1, 2, … */
export const natural = z.preprocess(toNumber, z.number().int().nonnegative())
/** 1, 2, 3, … */
export const count = z.preprocess(toNumber, z.number().int().positive())
export const flag = z.boolean()
export const text = z.string().min(1)
/** A folder by one name, without the slash that a shell's completion leaves behind it. */
export const folder = text.transform((path) => path.replace(/(?<=[^/\\:])[/\\]+$/, ""))
/** `a,b,c` */
export const list = z.preprocess((value) => split(toText(value)), z.array(z.preprocess(toText, text)).min(1))
export const listOf = <const A extends readonly string[]>(names: A) =>
  z.preprocess(split, z.array(z.enum(names)).min(1))

const range = (part: string): readonly number[] | undefined => {
  const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim())
  if (match === null) return undefined
  const [from, to] = [Number(match[1]), Number(match[2] ?? match[1])]
  return from <= to && to - from < 1e6 ? Array.from({ length: to - from + 1 }, (_, i) => from + i) : undefined
}

/** `0-15,31` */
export const ranges = z.string().transform((text, context): readonly number[] => {
  const parts = text.split(",").map(range)
  if (parts.every((part) => part !== undefined)) return parts.flat()
  context.addIssue({ code: "custom", message: `expected numbers and ranges such as 0-15,31, found ${text}` })
  return z.NEVER
})
