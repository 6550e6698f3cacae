import { Failure } from "@adafm/core"
import { z } from "zod"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf, usage } from "../Verb.ts"

const shape = {
  onnx: z.exactOptional(Values.text),
  checkpoint: z.exactOptional(Values.text),
  net: z.exactOptional(z.enum(["generator", "discriminator"])),
  raw: Values.flag.default(false),
}

export const exportModel: Verb.Verb<typeof shape> = {
  name: "export",
  about: "export a model for other programs, with its modulation folded in: ONNX, or weights for PyTorch",
  files: "<model>",
  flags: [
    ["--onnx <file>", "write the generator, for any number of images; inputs as in `forward` (labels `y` are int32)"],
    [
      "--checkpoint <file>",
      "write both networks with PyTorch's names and layouts: .safetensors, or .pt for torch.load",
    ],
    [
      "--net <network>",
      "with --checkpoint: only the generator or the discriminator, without its name before every path",
    ],
    ["--raw", "use a run's trained generator, not its moving average"],
  ],
  shape,
  run: async ({ files, options }) => {
    const { onnx, checkpoint, net, raw } = options
    if ((onnx === undefined) === (checkpoint === undefined)) usage("give either --onnx FILE or --checkpoint FILE")
    if (net !== undefined && checkpoint === undefined) usage("--net belongs to --checkpoint")
    const { Export } = await import("@adafm/job")
    const model = files[0]!
    if (checkpoint !== undefined) {
      const done = await Failure.orThrow(
        Export.checkpoint({ model, checkpoint, raw, ...(net !== undefined && { net }) }),
      )
      const text = `${done.out}: ${done.format}, ${done.tensors} tensors, ${done.bytes} bytes, SHA-256 ${done.sha256}`
      return { json: done, text }
    }
    const done = await Failure.orThrow(Export.run({ ...options, onnx: onnx!, model }, await engineOf(options)))
    const inputs = Object.entries(done.inputs).map(([name, dims]) => `${name} [${["N", ...dims].join(", ")}]`)
    const text = `${done.out}: ${done.bytes} bytes, opset ${done.opset}, inputs ${inputs.join(", ")}; its images differ from the model's by at most ${done.maxAbsDiff.toExponential(1)}`
    return { json: done, text }
  },
}
