/** The conformance table as a page of Markdown. The page is the same on every machine where all cases pass. */
import type { Case } from "./Case.ts"
import * as Cases from "./Case.ts"

export interface Row {
  readonly group: string
  readonly case: Case
  /** By engine: whether the value and, if they exist, the gradient and the second gradient are within the tolerance. */
  readonly passed: Readonly<Record<string, readonly boolean[]>>
}

/** Names of the kernels that occur in a case, by heading; and of those in no case, with the reason. */
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
    `Every engine computes the same step. Each cell has three marks: for the value, the gradient and the second gradient. ✓ means that in every tensor the
largest error of the engine, relative to the largest reference value, is below ${number(tolerances.engine)}. – means that TensorFlow.js has no gradient for one of the
kernels (its second gradient of log softmax is wrong). Engines compute in float32.`,
    `**The reference.** The case is traced, and the traced operations are evaluated by their definitions in float64. For \`y = f(x)\` the loss is
\`L = ⟨c, y⟩ + ½‖y‖²\`; its gradient and the gradient of \`⟨w, ∇L⟩\`, with fixed c and w, are compared element by element. Central
differences of L in float64, along two fixed directions for each input, confirm these derivatives: they agree within ${number(tolerances.derivative)} of the gradient's
length, and the differences themselves are accurate to ${number(tolerances.own)}. Cases with † replace the derivative on purpose and are not compared with differences.`,
    `The \`tensorflow\` engine must meet the same tolerances if its binary is installed. \`onnx, blocked\` is the default on the CPU provider; other
providers and exported models use \`onnx, plain\`. "From 4 layouts" means that the input is stored in blocks of channels, as NCHW, as NHWC and as a filter.`,
    `${rows.length} cases, ${rows.filter((row) => Cases.order(row.case) === 2).length} of them differentiated twice.`,
    ...[...new Set(rows.map((row) => row.group))].map((group) =>
      groupTable(
        group,
        rows.filter((row) => row.group === group),
        engines,
      ),
    ),
    "## Kernels of TensorFlow.js",
    "A step may call these kernels. All but the last ones occur in a case above.",
    ...Object.entries(kernels.covered).map(([heading, names]) => `${heading}: ${code(names)}.`),
    `Not in any case: ${Object.entries(kernels.unreachable)
      .map(([name, reason]) => `\`${name}\` (${reason})`)
      .join(", ")}.`,
  ].join("\n\n")}\n`
