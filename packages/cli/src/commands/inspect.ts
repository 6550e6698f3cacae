import { Failure } from "@adafm/core"
import type { Inspect as Inspect_ } from "@adafm/transfer"
import * as Printable from "../Printable.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { usage } from "../Verb.ts"

const shape = { diff: Values.flag.default(false), suggest: Values.flag.default(false) }

const shown = (value: unknown): string => {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : value.toPrecision(6)
  return typeof value === "object" && value !== null ? String(Object.values(value)[0]) : String(value)
}

const cell = (value: Inspect_.Difference["a"]): string => {
  if (value === undefined) return ""
  if (Array.isArray(value)) return `[${value.join(", ")}]`
  return typeof value === "object" && value !== null && "sum" in value
    ? `sum ${shown(value.sum)}`
    : JSON.stringify(value)
}

/** The file of a path that may be a bundled model, a model folder or a run. */
const fileOf = async (path: string): Promise<string> => {
  const { statSync } = await import("node:fs")
  // a plain file must not wait for the whole job package
  if (!path.startsWith("builtin:") && statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return path
  const { Model } = await import("@adafm/job")
  return Model.tensorFile(path)
}

const compare = async (a: string, b: string, terminal: Terminal.Terminal): Promise<Verb.Answer> => {
  const { Inspect } = await import("@adafm/transfer")
  const progress = terminal.progress("tensors")
  const { same, differences } = await Failure.orThrow(
    Inspect.diff(a, b, { onTensor: (index, total) => progress.update(index + 1, total) }),
  ).finally(progress.stop)
  const rows = differences.map((d) => [
    d.path,
    d.what === "values" ? `${d.different} values, by up to ${shown(d.maxAbsDiff)}` : d.what,
    cell(d.a),
    cell(d.b),
  ])
  const text = [
    ...(rows.length === 0 ? [] : [Terminal.table([["path", "difference", "A", "B"], ...rows])]),
    `${same} tensors are identical, ${differences.length} paths differ`,
  ].join("\n")
  return { json: { a, b, same, differences }, text }
}

export const inspect: Verb.Verb<typeof shape> = {
  name: "inspect",
  about: "list what a checkpoint, a model or a run holds, without executing it; or compare two with --diff",
  files: "<files...>",
  flags: [
    ["--diff", "compare two files, path by path"],
    [
      "--suggest",
      "write the layers as a YAML file for import --layers, with question marks where the weights do not tell",
    ],
  ],
  shape,
  run: async ({ files, options, terminal }) => {
    const [a, b] = files
    if (files.length !== (options.diff ? 2 : 1))
      usage(
        options.diff
          ? `--diff compares two files, found ${files.length}`
          : `inspect takes one file, found ${files.length}: --diff compares two`,
      )
    if (options.diff) return compare(await fileOf(a!), await fileOf(b!), terminal)
    const { Inspect, Suggestion } = await import("@adafm/transfer")
    if (options.suggest) {
      const { Checkpoint } = await import("@adafm/checkpoint")
      const file = await fileOf(a!)
      const suggestion = await Failure.orThrow(Checkpoint.use(file, Suggestion.of))
      return { json: { file, ...suggestion }, text: suggestion.text.trimEnd() }
    }
    const progress = terminal.progress("tensors")
    const found = await Failure.orThrow(
      Inspect.inspect(await fileOf(a!), { onTensor: (index, total) => progress.update(index + 1, total) }),
    ).finally(progress.stop)
    const settings = Object.entries(found.config ?? {}).flatMap(([key, value]) =>
      typeof value === "number" ? [`${key} ${value}`] : key === "image" ? [`${(value as number[]).join(" × ")}`] : [],
    )
    const lines = [
      `${found.file}: ${found.format}, ${found.bytes} bytes, SHA-256 ${found.sha256}`,
      `architecture: ${[found.architecture ?? `unknown${found.nearest === null ? "" : `; ${found.nearest}`}`, ...settings].join(", ")}`,
      ...(found.readFrom === null ? [] : [`read from: ${found.readFrom}`]),
      ...found.assumptions.map((assumption) => `assumed: ${assumption}`),
    ]
    const table = Terminal.table([
      ["tensor", "shape", "dtype", "sum", "max |x|"],
      ...found.tensors.map((t) => [t.path, `[${t.shape.join(", ")}]`, t.dtype, shown(t.sum), shown(t.absMax)]),
    ])
    const more = [
      ...Object.entries(found.scalars).map(([path, value]) => `${path} = ${JSON.stringify(value)}`),
      ...found.problems.map((problem) => `note: ${problem}`),
    ]
    // names are a stranger's, and none begins a line
    const text = [...lines.map(Printable.line), table, ...more.map(Printable.line)].join("\n")
    return { json: found, text }
  },
}
