/**
 * FINDINGS.md from its template. The template holds no decimal number: it refers to the committed results, so no number can go out
 * of date. A reference to a verdict fails once the verdict is another one, because the sentence around it has to change then.
 *
 * - `{{kid adafm}}`: the mean over draws on flowers. Also `{{kid adafm horse}}`, `{{kid adafm draw 0}}`, `{{coverage scratch most}}`
 *   (or `least`), `{{kid photographs}}`, `{{kid source}}` and `{{kid adafm - finetune}}`; the kinds are those of `Evidence.number`
 * - `{{effect CLAIM}}` and its `size` (without sign), `deviation`, `ratio` of both, `low` and `high` end, `pairs`
 * - `{{holds CLAIM}}`, `{{contradicted CLAIM}}`, `{{undecided CLAIM}}`, `{{illustration CLAIM}}`: that word; `{{holds CLAIM resnet-56}}`
 *   is the verdict by other features, where there is one; `{{effect CLAIM resnet-56}}` is their effect, and `{{favours CLAIM resnet-56}}`
 *   or `{{opposes CLAIM resnet-56}}` is the side of the claim that it is on; `{{check holds CLAIM}}` shows nothing
 * - `{{quote NUMBER FILE}}`: a number of a committed file; `{{recorded NUMBER COMMIT}}`: one that was noted by hand at a commit
 *
 * `{{kid:4 adafm}}` has four decimals.
 */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Failure, Files } from "@adafm/core"
import * as Catalogue from "../declare/Catalogue.ts"
import * as Evidence from "../judge/Evidence.ts"
import * as Verdict from "../judge/Verdict.ts"

export const TEMPLATE = join(Catalogue.lab, "page", "findings.md.template")
export const PAGE = join(Catalogue.here, "FINDINGS.md")

const HEAD =
  "<!-- Written by `pnpm exp:all --profile standard --pages` from lab/page/findings.md.template: edit that. -->\n\n"

const refuse = (text: string): never => Failure.raise("BadReference", text)

/** Decimals of a kind where a reference gives none. */
const decimalsOf = (kind: string): number => {
  if (["kid", "first", "effect", "size", "deviation"].includes(kind)) return 5
  if (["trained", "first-step"].includes(kind)) return 0
  return kind === "ratio" ? 1 : 2
}

const shown = (value: number, decimals: number): string =>
  value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).replace("-", "−")

/** `adafm horse draw 0`, `scratch most` */
const subject = ({ references }: Evidence.Evidence, [name = "", ...words]: readonly string[]): Evidence.Subject => {
  const draw = words.indexOf("draw")
  const end = (["least", "most"] as const).find((word) => words.includes(word))
  return {
    name,
    target: words.find((word) => references.has(word)) ?? "flowers",
    ...(draw >= 0 && { draw: Number(words[draw + 1]) }),
    ...(end !== undefined && { end }),
  }
}

const VERDICTS: readonly string[] = [...Verdict.VERDICTS, "illustration"]

/** The verdict that the text states; any other one is refused. */
const verdict = (claim: Evidence.Claim, stated: string, features: string | undefined): string => {
  const judged = features === undefined ? claim : claim.opinions.find(({ of }) => of === features)
  const found = judged === undefined ? "not-tested" : Verdict.isIllustration(judged) ? "illustration" : judged.verdict
  return found === stated ? stated : refuse(`the verdict is ${found ?? "not given"}: revise the text`)
}

const SIDES: readonly string[] = ["favours", "opposes"]

const effectBy = (claim: Evidence.Claim, features: string | undefined): number =>
  (features === undefined ? claim : claim.opinions.find(({ of }) => of === features))?.effect ??
  refuse(`${features ?? "the claim"} has not been tested`)

/** The side that the text states; the other one is refused. */
const side = (claim: Evidence.Claim, stated: string, features: string | undefined): string => {
  const found = effectBy(claim, features) > 0 ? "favours" : "opposes"
  return found === stated ? stated : refuse(`the effect ${found} the claim: revise the text`)
}

const WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

const ofClaim = ({ effect, deviation, interval, pairs }: Evidence.Claim, kind: string, decimals: number): string => {
  if (kind === "pairs") return WORDS[pairs] ?? String(pairs)
  if (effect === null || deviation === null) return refuse("the claim has not been tested")
  const values: Readonly<Record<string, number | undefined>> = {
    deviation,
    size: Math.abs(effect),
    ratio: Math.abs(effect / deviation),
    low: interval?.[0],
    high: interval?.[1],
  }
  const value = values[kind]
  return value === undefined ? refuse(`a claim has no ${kind}`) : shown(value, decimals)
}

/** A number that a file holds, rounded if the reference asks for it. */
const quoted = (number: string, path: string, decimals: number | undefined): string => {
  const file = join(Catalogue.here, "..", path)
  const numbers: readonly string[] = existsSync(file) ? (readFileSync(file, "utf8").match(/\d+(\.\d+)*/g) ?? []) : []
  if (!numbers.includes(number)) return refuse(`${path} does not hold ${number}`)
  return decimals === undefined ? number : shown(Number(number), decimals)
}

/** What one reference becomes. */
const resolve = (evidence: Evidence.Evidence, reference: string): string => {
  const [head = "", ...words] = reference.trim().split(/\s+/)
  const [kind = "", digits] = head.split(":")
  const asked = digits === undefined ? undefined : Number(digits)
  const decimals = asked ?? decimalsOf(kind)
  const [first = "", second] = words
  if (kind === "check") {
    resolve(evidence, words.join(" "))
    return ""
  }
  if (kind === "quote") return quoted(first, second ?? "", asked)
  if (kind === "recorded") return /^[0-9a-f]{7,40}$/.test(second ?? "") ? first : refuse("it names no commit")
  const claim = evidence.claims.get(first)
  if (VERDICTS.includes(kind) || SIDES.includes(kind)) {
    if (claim === undefined) return refuse(`no claim is called ${first}`)
    return (SIDES.includes(kind) ? side : verdict)(claim, kind, second)
  }
  if (claim !== undefined && kind === "effect") return shown(effectBy(claim, second), decimals)
  if (claim !== undefined) return ofClaim(claim, kind, decimals)
  const minus = words.indexOf("-")
  const number = (side: readonly string[]): number => Evidence.number(evidence, kind, subject(evidence, side))
  const value = minus < 0 ? number(words) : number(words.slice(0, minus)) - number(words.slice(minus + 1))
  return shown(value, decimals)
}

const REFERENCE = /\{\{([^{}]*)\}\}/g

/** Decimal numbers that a template states by itself; code and links do not count. */
const bare = (template: string): readonly string[] =>
  template
    .replace(REFERENCE, "")
    .replace(/`[^`\n]*`|\]\([^)]*\)/g, "")
    .match(/\d*\.\d+/g) ?? []

/** The page. What cannot be resolved, and every decimal number without a reference, is refused in one failure. */
export const render = (template: string, evidence: Evidence.Evidence): string => {
  const problems = bare(template).map((number) => `${number} has no reference`)
  const text = template.replace(REFERENCE, (whole, reference: string) => {
    try {
      return resolve(evidence, reference)
    } catch (thrown) {
      problems.push(`${whole}: ${Failure.fromThrown(thrown).message}`)
      return whole
    }
  })
  if (problems.length > 0)
    Failure.raise("BadReference", `FINDINGS.md cannot be written: ${problems.join("; ")}`, { file: TEMPLATE })
  return HEAD + text
}

/** Writes FINDINGS.md from what is committed. */
export const write = async (): Promise<void> => {
  const text = render(readFileSync(TEMPLATE, "utf8"), await Evidence.read())
  await Failure.orThrow(Files.write(PAGE, text))
}
