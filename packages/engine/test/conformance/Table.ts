/** The conformance table as a page of Markdown. It says the same wherever all cases pass. */
import type { Case } from "./Case.ts"
import * as Cases from "./Case.ts"

export interface Row {
  readonly group: string
  readonly case: Case
  /** By engine; whether the value, the gradient and the second gradient are within the tolerance, as many as there are. */
  readonly passed: Readonly<Record<string, readonly boolean[]>>
}

/** Names of kernels by how far they are differentiated, each list with its heading; and those in no case, with the reason. */
export interface Kernels {
  readonly covered: Readonly<Record<string, readonly string[]>>
  readonly unreachable: Readonly<Record<string, string>>
}

const cell = (results: readonly (readonly boolean[])[]): string =>
  [0, 1, 2]
    .map((kind) => results.map((passed) => passed[kind]))
    .map((passed) => (passed.includes(undefined) ? "–" : passed.every(Boolean) ? "✓" : "✗"))
    .join(" ")

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`
const number = (x: number): string => x.toExponential(0)
const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(", ")

const groupTable = (group: string, rows: readonly Row[], engines: readonly string[]): string => {
  const names = [...new Set(rows.map((row) => row.case.name))]
  const lines = names.map((name) => {
    const same = rows.filter((row) => row.case.name === name)
    const marks = `${same.length > 1 ? ` (from ${same.length} layouts)` : ""}${same[0]!.case.surrogate ? " †" : ""}`
    return line([`${name}${marks}`, ...engines.map((engine) => cell(same.map((row) => row.passed[engine] ?? [])))])
  })
  return [`## ${group}`, "", line(["", ...engines]), line(["---", ...engines.map(() => ":---:")]), ...lines].join("\n")
}

export const page = (
  rows: readonly Row[],
  engines: readonly string[],
  kernels: Kernels,
  tolerances: { readonly engine: number; readonly derivative: number; readonly own: number },
): string =>
  `${[
    "# Conformance",
    "<!-- Written by a test: pnpm vitest run packages/engine/test/Conformance.test.ts -u -->",
    `Every engine computes the same step. Each cell has three marks: value, gradient, second gradient. ✓ means that the largest error of the engine,
relative to the largest reference value, is below ${number(tolerances.engine)} in every tensor; – that TensorFlow.js has no gradient for one of the kernels (of log
softmax it has a second gradient, which is wrong). Engines compute in float32.`,
    `**The reference.** The case is traced, and the traced operations are evaluated by their definitions in float64. For \`y = f(x)\` the loss is
\`L = ⟨c, y⟩ + ½‖y‖²\`; its gradient and the gradient of \`⟨w, ∇L⟩\`, with fixed c and w, are compared element by element. That these are the
derivatives of f is shown by central differences of L in float64 along two fixed directions for each input: within ${number(tolerances.derivative)} of the gradient's
length, where the differences themselves are good to ${number(tolerances.own)}. Cases with † replace the derivative on purpose and have no differences.`,
    `The \`tensorflow\` engine is held to the same where its binary is installed; \`onnx, blocked\` is the default on the CPU provider, \`onnx, plain\` what other
providers and exported models run. "From 4 layouts": the input lies in blocks of channels, as NCHW, as NHWC and as a filter.`,
    `${rows.length} cases, ${rows.filter((row) => Cases.order(row.case) === 2).length} of them differentiated twice.`,
    ...[...new Set(rows.map((row) => row.group))].map((group) =>
      groupTable(
        group,
        rows.filter((row) => row.group === group),
        engines,
      ),
    ),
    "## Kernels of TensorFlow.js",
    "A step may call these; each but the last ones occurs above.",
    ...Object.entries(kernels.covered).map(([heading, names]) => `${heading}: ${code(names)}.`),
    `In no case: ${Object.entries(kernels.unreachable)
      .map(([name, reason]) => `\`${name}\` (${reason})`)
      .join(", ")}.`,
  ].join("\n\n")}\n`
