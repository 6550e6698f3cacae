/** All committed results together: a number of any variant, the verdict on any claim. */
import { join } from "node:path"
import { Failure, NdArray, Safetensors } from "@adafm/core"
import { ModelFolder } from "@adafm/gan"
import * as Catalogue from "../declare/Catalogue.ts"
import * as CellRunner from "../run/CellRunner.ts"
import * as ExperimentResults from "./ExperimentResults.ts"
import * as ReferenceScores from "./ReferenceScores.ts"
import * as ResultsFile from "./ResultsFile.ts"
import * as Verdict from "./Verdict.ts"

/** One finished cell. */
export interface Draw {
  readonly variant: string
  readonly target: string
  readonly draw: number
  readonly result: CellRunner.Result
  /** Root mean square of what training added to γ and to β; of cells whose modulation is in the bank. */
  readonly moved: Readonly<Record<string, number>>
}

export type Claim = ResultsFile.ResultsFile["claims"][number]

/** The id of a variant, and of a claim, means the same in every experiment. */
export interface Evidence {
  readonly draws: readonly Draw[]
  /** By id. */
  readonly claims: ReadonlyMap<string, Claim>
  /** By the target's name. */
  readonly references: ReadonlyMap<string, ReferenceScores.References>
}

const movedOf = async (id: string): Promise<Draw["moved"]> => {
  const file = CellRunner.learnedOf(id)
  if (file === undefined) return {}
  const { tensors } = await Failure.orThrow(Safetensors.read(file))
  const of = (kind: RegExp, start: number): number => {
    const found = Object.entries(tensors).filter(([path]) => kind.test(path))
    const values = found.flatMap(([, tensor]) => [...NdArray.toFloat32(tensor).data])
    return Math.sqrt(Verdict.mean(values.map((v) => (v - start) ** 2)))
  }
  return { gamma: of(/gam+a$/, 1), beta: of(/beta$/, 0) }
}

/** Reads the results of all experiments, and their cells from the bank. */
export const read = async (): Promise<Evidence> => {
  const draws = new Map<string, Draw>()
  const claims = new Map<string, Claim>()
  const references = new Map<string, ReferenceScores.References>()
  for (const name of Catalogue.names()) {
    const file = join(Catalogue.folderOf(name), "results.json")
    const results = await Failure.orThrow(ModelFolder.readJson(ResultsFile.ResultsFile, file))
    for (const claim of results.claims) claims.set(claim.id, claim)
    for (const [target, scores] of Object.entries(results.floors))
      references.set(target, ReferenceScores.References.parse(scores))
    for (const { id, variant, target, draw, status } of results.cells) {
      const key = `${variant} ${target} ${draw}`
      if (status !== "done" || draws.has(key)) continue
      const result = await CellRunner.read(id)
      if (result === undefined) return Failure.raise("NoCell", "a finished cell is not in the bank", { file, path: id })
      draws.set(key, { variant, target, draw, result, moved: await movedOf(id) })
    }
  }
  return { draws: [...draws.values()], claims, references }
}

const PRDC = ["precision", "recall", "density", "coverage"]

const ofMetrics = (metrics: CellRunner.Result["metrics"], kind: string): unknown => {
  if (!PRDC.includes(kind)) return metrics[kind]?.value
  return (metrics.prdc?.value as Readonly<Record<string, unknown>> | undefined)?.[kind]
}

const ofDraw = ({ result, moved }: Draw, kind: string): unknown => {
  const group = /^group-(\d)$/.exec(kind)?.[1]
  if (group !== undefined) return result.alignment?.[Number(group) - 1]
  switch (kind) {
    case "curve":
      return result.curve.at(-1)?.kid
    case "first":
      return result.candidates[0]?.reporting
    case "first-step":
      return result.candidates[0]?.step
    case "trained":
      return result.plan.trainable
    case "gamma":
    case "beta":
      return moved[kind]
    default:
      return ofMetrics(result.metrics, kind)
  }
}

export interface Subject {
  /** A variant's id; `photographs` of the pool or the images of the untouched `source`. */
  readonly name: string
  readonly target: string
  /** One draw; all by default. */
  readonly draw?: number
  /** Of the draws; their mean by default. */
  readonly end?: "least" | "most"
}

/**
 * One number.
 * @param kind a metric of the results, a part of `prdc`, or: `curve` (end of the curve), `first` and `first-step` (earlier candidate),
 * `group-1` (KID in the first group of the source's discriminator), `trained` (parameters), `gamma` and `beta` (how far they moved)
 */
export const number = ({ draws, references }: Evidence, kind: string, subject: Subject): number => {
  const { name, target, draw, end } = subject
  const reference = references.get(target)
  const side = name === "photographs" ? "pool" : name === "source" ? "source" : undefined
  const found =
    side !== undefined && reference !== undefined
      ? [kind === "curve" ? reference.curve[side] : ofMetrics(reference[side], kind)]
      : draws
          .filter((d) => d.variant === name && d.target === target && (draw === undefined || d.draw === draw))
          .map((d) => ofDraw(d, kind))
  // only the first draw's modulation is committed
  const values = found.filter(ExperimentResults.isNumber)
  if (values.length === 0) return Failure.raise("NoNumber", `there is no ${kind} of ${name} on ${target}`)
  if (end === undefined) return Verdict.mean(values)
  return end === "least" ? Math.min(...values) : Math.max(...values)
}
