import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf, orFail } from "../Verb.ts"

const shape = { onnx: Values.text, raw: Values.flag.default(false) }

export const exportModel: Verb.Verb<typeof shape> = {
  name: "export",
  about: "the generator as an .onnx file, its modulation folded in",
  files: "<model>",
  flags: [
    ["--onnx <file>", "the file to write; inputs as in `forward`, any number of images"],
    ["--raw", "a run's generator as it is trained, not its moving average"],
  ],
  shape,
  run: async ({ files, options }) => {
    const { Export } = await import("@adafm/job")
    const done = await orFail(Export.run({ ...options, model: files[0]! }, await engineOf(options)))
    const inputs = Object.entries(done.inputs).map(([name, dims]) => `${name} [${["N", ...dims].join(", ")}]`)
    const text = `${done.out}: ${done.bytes} bytes, opset ${done.opset}, inputs ${inputs.join(", ")}; differs from the model by ${done.maxAbsDiff.toExponential(1)}`
    return { json: done, text }
  },
}
