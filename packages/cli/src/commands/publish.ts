import { Failure } from "@adafm/core"
import { z } from "zod"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"

const shape = {
  to: Values.text,
  private: Values.flag.default(false),
  message: z.exactOptional(Values.text),
}

export const publish: Verb.Verb<typeof shape> = {
  name: "publish",
  about: "push a folder of `export --hub` to the Hugging Face Hub, with the token in HF_TOKEN",
  files: "<folder>",
  flags: [
    ["--to <hf:owner/name>", "the repository, which is made if it does not exist; @BRANCH for a branch (required)"],
    ["--private", "make a new repository private"],
    ["--message <text>", "the title of the commit"],
  ],
  shape,
  run: async ({ files, options }) => {
    const { Publish } = await import("@adafm/job")
    const { to, message } = options
    const done = await Failure.orThrow(
      Publish.run({ folder: files[0]!, to, isPrivate: options.private, ...(message !== undefined && { message }) }),
    )
    const text = [
      `${done.url}: ${done.files.length} files${done.created ? ", in a new repository" : ""}`,
      `others use it with: ${Terminal.command} sample ${done.reference} --grid samples.png`,
    ].join("\n")
    return { json: done, text }
  },
}
