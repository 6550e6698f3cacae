/** The process that reads damaged files for the campaign: it may crash, hang and fill its memory without harm. */
import { Failure } from "@adafm/core"
import * as Formats from "./Formats.ts"
import type * as Verdict from "./Verdict.ts"

export interface Order {
  readonly format: string
  readonly path: string
}

const read = async ({ format, path }: Order): Promise<Verdict.Outcome> => {
  const megabytes = (): number => Math.round(process.memoryUsage().rss / 1e6)
  try {
    const value = await Formats.all[format]!.read(path)
    return { digest: Formats.digest(value), megabytes: megabytes() }
  } catch (thrown) {
    return { failure: Failure.fromThrown(thrown), megabytes: megabytes() }
  }
}

process.on("message", async (order: Order) => {
  process.send?.(await read(order))
})
// the campaign was ended
process.on("disconnect", () => process.exit())
process.send?.("ready")
