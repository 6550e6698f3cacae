import * as Terminal from "../Terminal.ts"
import type * as Verb from "../Verb.ts"
import { orFail } from "../Verb.ts"

const shown = (value: unknown): string => {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : value.toPrecision(6)
  return typeof value === "object" && value !== null ? String(Object.values(value)[0]) : String(value)
}

export const inspect: Verb.Verb<Record<never, never>> = {
  name: "inspect",
  about: "what a checkpoint holds, without executing it",
  files: "<file>",
  flags: [],
  shape: {},
  run: async ({ files, terminal }) => {
    const { Inspect } = await import("@adafm/transfer")
    const progress = terminal.progress("tensors")
    const found = await orFail(
      Inspect.inspect(files[0]!, { onTensor: (index, total) => progress.update(index + 1, total) }),
    ).finally(progress.stop)
    const text = [
      `${found.file}: ${found.format}, ${found.bytes} bytes, SHA-256 ${found.sha256}`,
      `architecture: ${found.architecture ?? `not known${found.nearest === null ? "" : `; ${found.nearest}`}`}`,
      Terminal.table([
        ["tensor", "shape", "dtype", "sum", "largest"],
        ...found.tensors.map((t) => [t.path, `[${t.shape.join(", ")}]`, t.dtype, shown(t.sum), shown(t.absMax)]),
      ]),
      ...Object.entries(found.scalars).map(([path, value]) => `${path} = ${JSON.stringify(value)}`),
      ...found.problems.map((problem) => `oddity: ${problem}`),
    ].join("\n")
    return { json: found, text }
  },
}
