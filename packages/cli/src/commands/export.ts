import { Failure } from "@adafm/core"
import type { RunCheckpoint as RunCheckpoint_ } from "@adafm/job"
import { z } from "zod"
import * as CheckpointFlag from "../CheckpointFlag.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf, usage } from "../Verb.ts"

const shape = {
  onnx: z.exactOptional(Values.text),
  checkpoint: z.exactOptional(z.array(Values.text)),
  hub: z.exactOptional(Values.folder),
  licence: z.exactOptional(Values.text),
  dataStatement: z.exactOptional(Values.text),
  net: z.exactOptional(z.enum(["generator", "discriminator"])),
  raw: Values.flag.default(false),
}

/** All values of a flag that may be given more than once. */
const collected = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]

/** `--checkpoint` is a file to write, or says which checkpoint of a run is read; each of them at most once. */
const meant = (values: readonly string[]): { readonly checkpoint?: string; readonly from?: RunCheckpoint_.Wanted } => {
  const isWhich = (value: string): boolean => /^(best|last|\d+)$/.test(value)
  const [files, which] = [values.filter((value) => !isWhich(value)), values.filter(isWhich)]
  if (files.length > 1 || which.length > 1)
    return usage("--checkpoint: give one file to write, and at most one of best, last and a step")
  const [file, from] = [files[0], which[0]]
  return {
    ...(file !== undefined && { checkpoint: file }),
    ...(from !== undefined && { from: from === "best" || from === "last" ? from : Number(from) }),
  }
}

export const exportModel: Verb.Verb<typeof shape> = {
  name: "export",
  about:
    "export a model for other programs, with its modulation folded in: ONNX, weights for PyTorch, or a Hugging Face repository",
  files: "<model>",
  flags: [
    ["--onnx <file>", "write the generator, for any number of images; inputs as in `forward` (labels `y` are int32)"],
    [
      "--checkpoint <file|which>",
      "a file: write both networks with PyTorch's names and layouts, as .safetensors, or .pt for torch.load; best, last or a step: which checkpoint of a run is exported (default last); give it twice for both",
      collected,
    ],
    [
      "--net <network>",
      "with --checkpoint: only the generator or the discriminator, without its name before every path",
    ],
    [
      "--hub <folder>",
      "write a Hugging Face repository: weights, ONNX, configuration, samples and a model card; see `publish`",
    ],
    ["--licence <id>", "with --hub: the licence of the model, such as cc-by-4.0"],
    ["--data-statement <text>", "with --hub: where the photographs are from, and under which terms"],
    ["--raw", "use a run's trained generator, not its moving average"],
  ],
  shape,
  run: async ({ files, options, terminal }) => {
    const { onnx, hub, net, raw, seed, licence, dataStatement } = options
    const { checkpoint, from } = meant(options.checkpoint ?? [])
    const asked = [onnx, checkpoint, hub].filter((target) => target !== undefined)
    if (asked.length > 1) usage("give only one of --onnx, --checkpoint and --hub")
    if (asked.length === 0) usage("nothing says what to write: give --onnx FILE, --checkpoint FILE or --hub FOLDER")
    if (hub === undefined && (licence ?? dataStatement) !== undefined)
      usage("--licence and --data-statement belong to --hub")
    if (net !== undefined && checkpoint === undefined) usage("--net belongs to --checkpoint FILE")
    const { Export, HubFolder } = await import("@adafm/job")
    const read = { model: files[0]!, raw, onNote: terminal.note, ...(from !== undefined && { from }) }
    if (hub !== undefined) {
      const statements = {
        ...(licence !== undefined && { licence }),
        ...(dataStatement !== undefined && { dataStatement }),
      }
      const engine = await engineOf(options)
      const done = await Failure.orThrow(HubFolder.run({ ...read, out: hub, seed, ...statements }, engine))
      const text = [
        ...CheckpointFlag.lines(done.checkpoint),
        `${done.out}: ${Object.keys(done.files).join(", ")} and the model card README.md`,
        ...(licence === undefined ? ["the card states no licence: --licence ID does"] : []),
        `next: ${Terminal.command} publish ${done.out} --to hf:OWNER/NAME`,
      ].join("\n")
      return { json: done, text }
    }
    if (checkpoint !== undefined) {
      const done = await Failure.orThrow(Export.checkpoint({ ...read, checkpoint, ...(net !== undefined && { net }) }))
      const written = `${done.out}: ${done.format}, ${done.tensors} tensors, ${done.bytes} bytes, SHA-256 ${done.sha256}`
      return { json: done, text: [...CheckpointFlag.lines(done.checkpoint), written].join("\n") }
    }
    const done = await Failure.orThrow(
      Export.run({ ...read, onnx: onnx!, seed: options.seed }, await engineOf(options)),
    )
    const inputs = Object.entries(done.inputs).map(([name, dims]) => `${name} [${["N", ...dims].join(", ")}]`)
    const written = `${done.out}: ${done.bytes} bytes, opset ${done.opset}, inputs ${inputs.join(", ")}; its images differ from the model's by at most ${done.maxAbsDiff.toExponential(1)}`
    return { json: done, text: [...CheckpointFlag.lines(done.checkpoint), written].join("\n") }
  },
}
