import type * as E from "fp-ts/lib/Either.js"
import * as TE from "fp-ts/lib/TaskEither.js"

/**
 * What went wrong, as data. Every function at a boundary (bytes, files, configurations, sessions) returns `Either<Failure, A>` or
 * `TaskEither<Failure, A>`; only the command line prints a failure.
 */
export interface Failure {
  /** The kind of failure in PascalCase, e.g. `TruncatedFile`. Callers branch on it. */
  readonly _tag: string
  /** One sentence for the user: what was expected and what was found. */
  readonly message: string
  /** The file on disk. */
  readonly file?: string
  /** The place inside the file: a tensor path, a zip entry, a config key. */
  readonly path?: string
  /** Byte offset inside the file. */
  readonly offset?: number
}

export const make = (_tag: string, message: string, place: Omit<Failure, "_tag" | "message"> = {}): Failure => ({
  _tag,
  message,
  ...place,
})

/** Adds the file to a failure that names none. */
export const inFile =
  (file: string) =>
  (failure: Failure): Failure =>
    failure.file === undefined ? { ...failure, file } : failure

/** A failure thrown by code that cannot return an `Either` (a parser's inner loop, a stream callback). */
export class Raised extends Error {
  override readonly name = "Raised"
  readonly failure: Failure
  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

/** Throws a failure; `attempt` or `fromThrown` turns it into data at the boundary. */
export const raise = (_tag: string, message: string, place: Omit<Failure, "_tag" | "message"> = {}): never => {
  throw new Raised(make(_tag, message, place))
}

/** What `body` returns; a failure that it throws and that names no file gets this one. */
export const within = <A>(file: string, body: () => A): A => {
  try {
    return body()
  } catch (thrown) {
    if (thrown instanceof Raised) throw new Raised(inFile(file)(thrown.failure))
    throw thrown
  }
}

/** Whatever was thrown, as a failure: `System.<code>` for the system's errors, `Unexpected` for unknown ones; messages are kept. */
export const fromThrown = (thrown: unknown): Failure => {
  if (thrown instanceof Raised) return thrown.failure
  if (thrown instanceof Error) {
    const { code, path } = thrown as { readonly code?: string; readonly path?: string }
    return make(
      // a browser's errors have numbers
      typeof code === "string" ? `System.${code}` : "Unexpected",
      thrown.message,
      path === undefined ? {} : { file: path },
    )
  }
  return make("Unexpected", String(thrown))
}

/** The value of a result or of a task, for code that throws: a failure is thrown as `Raised`. */
export function orThrow<A>(result: E.Either<Failure, A>): A
export function orThrow<A>(task: TE.TaskEither<Failure, A>): Promise<A>
export function orThrow<A>(given: E.Either<Failure, A> | TE.TaskEither<Failure, A>): A | Promise<A> {
  if (typeof given === "function") return given().then((result) => orThrow(result))
  if (given._tag === "Left") throw new Raised(given.left)
  return given.right
}

/** An `async` function as a task: whatever it throws becomes a failure. The inverse of `orThrow`. */
export const attempt = <A>(f: () => Promise<A>): TE.TaskEither<Failure, A> => TE.tryCatch(f, fromThrown)

/** A problem that a zod schema found in a value. */
interface Issue {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

const placeOf = (path: Issue["path"]): string =>
  path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
    .join("")
    .replace(/^\./, "")

const at = (value: unknown, path: Issue["path"]): unknown =>
  path.reduce<unknown>(
    (part, key) => (typeof part === "object" && part !== null ? Reflect.get(part, key) : undefined),
    value,
  )

/** The problems of a file or a setting in one line, each with its place and, where it is short, what was found there. */
export const ofIssues = (issues: readonly Issue[], value: unknown): string =>
  issues
    .map(({ path, message }) => {
      const found = at(value, path)
      const isShort = ["string", "number", "boolean"].includes(typeof found) && String(found).length <= 60
      return `${path.length === 0 ? "" : `${placeOf(path)}: `}${message}${isShort ? `, found ${JSON.stringify(found)}` : ""}`
    })
    .join("; ")
