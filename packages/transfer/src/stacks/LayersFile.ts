/**
 * Layers that a person writes down, because a file of weights alone does not show them: `import --layers FILE.yaml`. The schema is
 * that of a model folder; `inspect --suggest` writes a file to begin with.
 */
import { Failure, Files, YamlText } from "@adafm/core"
import { Stack } from "@adafm/gan"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { z } from "zod"

const size = z.number().int().positive()

/** As in a model folder, but channels and bias may be left out: the weights tell. */
const layers = z.array(z.looseObject({ kind: z.string() })).min(1)

export const Description = z.strictObject({
  /** Channels, height, width; a discriminator alone needs it. */
  image: z.exactOptional(z.tuple([size, size, size])),
  /** The distribution of z. */
  latent: z.exactOptional(z.enum(["normal", "uniform"])),
  generator: z.exactOptional(layers),
  discriminator: z.exactOptional(layers),
})
export type Description = z.output<typeof Description>

export type Said = NonNullable<Description["generator"]>

/** A question mark stands where the weights do not tell and a person must decide. */
const undecided = (value: unknown, path: string): readonly string[] => {
  if (value === "?" || (typeof value === "string" && /^\?/.test(value))) return [path]
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => undecided(inner, path === "" ? key : `${path}.${key}`))
}

/** Paths stay texts; other texts of digits are the numbers that a suggestion has put in quotes. */
const numbered = (value: unknown, key = ""): unknown => {
  if (typeof value === "string") return key !== "path" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value
  if (Array.isArray(value)) return value.map((inner) => numbered(inner))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([k, inner]) => [k, numbered(inner, k)]))
}

export const parse = (text: string, file: string): Description => {
  const parsedText = YamlText.parse(text)
  if (E.isLeft(parsedText)) return Failure.raise("BadConfig", parsedText.left.message, { file })
  const value = numbered(parsedText.right)
  const open = undecided(value, "")
  if (open.length > 0)
    return Failure.raise(
      "BadConfig",
      `still has question marks: ${open.slice(0, 6).join(", ")}: write what the network's source says`,
      { file, path: open[0]! },
    )
  const parsed = Description.safeParse(value)
  if (!parsed.success) return Failure.raise("BadConfig", Failure.ofIssues(parsed.error.issues, value), { file })
  return parsed.data.generator === undefined && parsed.data.discriminator === undefined
    ? Failure.raise("BadConfig", "describes neither a generator nor a discriminator", { file })
    : parsed.data
}

export const read = (file: string): TE.TaskEither<Failure.Failure, Description> =>
  pipe(
    Files.readText(file),
    TE.flatMap((text) => Failure.attempt(async () => parse(text, file))),
  )

export const layer = (value: unknown, place: string): Stack.Layer => {
  const parsed = Stack.Layer.safeParse(value)
  return parsed.success
    ? parsed.data
    : Failure.raise("BadConfig", `${place}: ${Failure.ofIssues(parsed.error.issues, value)}`, { path: place })
}
