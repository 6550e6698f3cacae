/** YAML of settings, plans and layers that a person wrote: small, and parsed in bounded time and memory. */
import * as E from "fp-ts/lib/Either.js"
import * as YAML from "yaml"
import * as Failure from "../Failure.ts"

/** Characters. The parser takes time quadratic in the keys and the errors of a text; people's files are a tenth of this. */
const MAX_LENGTH = 1 << 16
/** Anchors (`&name`), and uses of one (`*name`): a few of them can stand for a value of any size. */
const MAX_ANCHORS = 100

const count = (text: string, sign: string): number => {
  let found = 0
  for (const token of new YAML.Lexer().lex(text)) if (token.startsWith(sign)) found++
  return found
}

const refused = (message: string): E.Either<Failure.Failure, never> => E.left(Failure.make("BadYaml", message))

/** The parser's message: its first line says what is wrong and where, the others quote the text. */
const problem = (thrown: unknown): string => {
  const [line = ""] = (thrown instanceof Error ? thrown.message : String(thrown)).split("\n")
  return `not valid YAML: ${line.replace(/:$/, "")}`
}

/** The value of a YAML or JSON text. Failure: `BadYaml`. */
export const parse = (text: string): E.Either<Failure.Failure, unknown> => {
  if (text.length > MAX_LENGTH)
    return refused(`the YAML has ${text.length} characters; the limit is ${MAX_LENGTH} for a file that a person writes`)
  const anchors = count(text, "&")
  if (anchors > MAX_ANCHORS) return refused(`the YAML has ${anchors} anchors (&name); the limit is ${MAX_ANCHORS}`)
  return E.tryCatch(
    () => YAML.parse(text, { maxAliasCount: MAX_ANCHORS, logLevel: "error" }) as unknown,
    (thrown) => Failure.make("BadYaml", problem(thrown)),
  )
}
