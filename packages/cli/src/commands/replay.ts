import { Failure } from "@adafm/core"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf } from "../Verb.ts"

const shape = { out: Values.text, fromStored: Values.flag.default(false) }

export const replay: Verb.Verb<typeof shape> = {
  name: "replay",
  about: "repeat recorded training iterations, to compare with another implementation",
  files: "<file>",
  flags: [
    ["--out <file>", "the safetensors to write: after/<iteration>/…, loss/<iteration>/… (required)"],
    ["--from-stored", "start every iteration from the state that the file holds"],
  ],
  shape,
  run: async ({ files, options, terminal }) => {
    const { Replay } = await import("@adafm/job")
    const engine = await engineOf(options)
    const progress = terminal.progress("iterations")
    const done = await Failure.orThrow(
      Replay.run({ ...options, file: files[0]!, onProgress: progress.update }, engine),
    ).finally(progress.stop)
    const text = [
      `${done.out}: ${done.iterations} iterations`,
      Terminal.table([
        ["iteration", "loss of G", "loss of D", "penalty on reals", "penalty on fakes"],
        ...done.losses.map((l) => [l.iteration, l.g_loss, l.d_loss, l.reg_real, l.reg_fake]),
      ]),
    ].join("\n")
    return { json: done, text }
  },
}
