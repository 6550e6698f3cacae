/**
 * Surgery as data: ordered rules from paths to fates, the first that matches wins, a path that no rule covers is an error.
 *
 * ```yaml
 * generator:
 *   - { paths: "embedding.*", value: fresh, fate: freeze }
 *   - { paths: "fc.*", value: fresh }
 *   - { paths: "resnet_[345]_*.conv_[01].weight", fate: modulate, unfreezeAt: 1000 }
 *   - { paths: "{resnet_[345]_*,conv_img.*}", fate: freeze }
 *   - { paths: "*", lr: 0.5 }
 * discriminator:
 *   - { paths: "head.*", rename: "fc.$1" }
 *   - { paths: "*" }
 * ```
 */

import { Modulate } from "@adafm/adafm"
import { Failure, Files, type Flat, YamlText } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { z } from "zod"
import * as PathPattern from "./PathPattern.ts"

/** Why a text is no pattern. */
const badPattern = (glob: string): string | undefined => {
  try {
    PathPattern.compile(glob)
    return undefined
  } catch (thrown) {
    return thrown instanceof SyntaxError
      ? "not a valid pattern: a range such as [9-0] runs backwards"
      : (thrown as Error).message
  }
}

export const Rule = z
  .strictObject({
    /** `*` is any run of characters, `?` one, `[345]` one of these, `{a,b}` either; it covers the whole path. */
    paths: z.string().min(1).max(1000),
    /** Where the value comes from: the source's parameter of the same (or renamed) path, or a new start. */
    value: z.enum(["keep", "fresh"]).default("keep"),
    /** What training does with it; `modulate` freezes a filter and trains its modulation. */
    fate: z.enum(["train", "freeze", "modulate"]).default("train"),
    /** The path in the source; `$1`, `$2`, … are what the first, second, … `*`, `?`, `[]` or `{}` matched. */
    rename: z.string().min(1).optional(),
    /** The iteration at which a frozen parameter, or the modulation of a filter, begins to train. */
    unfreezeAt: z.number().int().nonnegative().optional(),
    /** Times the network's learning rate. */
    lr: z.number().positive().optional(),
  })
  .superRefine((rule, ctx) => {
    const refuse = (key: keyof typeof rule, message: string): void =>
      ctx.addIssue({ code: "custom", path: [key], message })
    const bad = badPattern(rule.paths)
    if (bad !== undefined) refuse("paths", bad)
    if (rule.value === "fresh" && rule.rename !== undefined)
      refuse("rename", "a fresh parameter has no path in the source")
    if (rule.fate === "train" && rule.unfreezeAt !== undefined) refuse("unfreezeAt", "unfreezeAt needs `fate: freeze`")
    if (rule.fate === "freeze" && rule.unfreezeAt === undefined && rule.lr !== undefined)
      refuse("lr", "a frozen parameter has no learning rate; give it an `unfreezeAt` too")
  })
export type Rule = z.output<typeof Rule>

export const Plan = z.strictObject({
  generator: z.array(Rule).min(1),
  discriminator: z.array(Rule).min(1),
  /** The kind of modulation for `fate: modulate`. */
  modulation: Modulate.Config.default({ kind: "adafm" }),
})
export type Plan = z.output<typeof Plan>
export type Input = z.input<typeof Plan>

/** The rule of a network that keeps nothing of its source. */
export const fresh: Plan["discriminator"] = [{ paths: "*", value: "fresh", fate: "train" }]

/** `$1` is the first wildcard; `$0` is the whole path. */
const renamed = (path: Flat.Path, found: readonly string[], n: string): string => [path, ...found][Number(n)] ?? ""

/** The first rule that covers a path, with the path that the value has in the source. */
export const find = (
  rules: readonly Rule[],
): ((path: Flat.Path) => { readonly rule: Rule; readonly index: number; readonly from: Flat.Path } | undefined) => {
  const compiled = rules.map((rule) => ({ rule, pattern: PathPattern.compile(rule.paths) }))
  return (path) => {
    for (const [index, { rule, pattern }] of compiled.entries()) {
      const found = pattern.match(path)
      if (found !== undefined)
        return { rule, index, from: rule.rename?.replace(/\$(\d)/g, (_, n: string) => renamed(path, found, n)) ?? path }
    }
    return undefined
  }
}

/** A plan from YAML or JSON, which is YAML too. */
export const parse = (text: string): E.Either<Failure.Failure, Plan> =>
  pipe(
    YamlText.parse(text),
    E.mapLeft(({ message }) => Failure.make("BadPlan", message)),
    E.flatMap(decode),
  )

export const decode = (value: unknown): E.Either<Failure.Failure, Plan> => {
  const parsed = Plan.safeParse(value)
  return parsed.success
    ? E.right(parsed.data)
    : E.left(Failure.make("BadPlan", Failure.ofIssues(parsed.error.issues, value)))
}

export const read = (file: string): TE.TaskEither<Failure.Failure, Plan> =>
  pipe(Files.readText(file), TE.flatMapEither(parse), TE.mapLeft(Failure.inFile(file)))
