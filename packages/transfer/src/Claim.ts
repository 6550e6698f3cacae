/** A safetensors file may say its own configuration: metadata `config`, a JSON string. */
import { Failure } from "@adafm/core"
import { type Gan, GpGan, SmallHead } from "@adafm/gan"
import * as z from "zod"

const count = z.number().int().positive()

/** Other keys (seeds, batch sizes) are the business of whoever wrote them. */
const Claimed = z.object({
  model: z.enum(["plain", "adafm"]).default("plain"),
  resolution: GpGan.Resolution,
  nf: count,
  nf_max: count.optional(),
  z_dim: count,
  embed: count.default(1),
  nlabels: count.default(1),
  style_dim: count.optional(),
  /** Present: small head with AdaFM, and a discriminator without labels. */
  head_blocks: count.optional(),
})

/** The claimed configuration; undefined where the file says nothing. */
export const config = (metadata: Readonly<Record<string, string>>): Gan.Config | undefined => {
  const text = metadata.config
  if (text === undefined) return undefined
  const bad = (message: string): never => Failure.raise("BadConfig", message, { path: "__metadata__.config" })
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return bad("the metadata's config is not JSON")
  }
  const parsed = Claimed.safeParse(json)
  if (!parsed.success)
    return bad(parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "))
  const { model, head_blocks, style_dim: _, ...plain } = parsed.data
  if (model === "adafm" || head_blocks !== undefined)
    return Failure.raise("UnknownArchitecture", "a generator with the small head cannot be imported yet", {
      path: "__metadata__.config",
    })
  return GpGan.Config.parse({ architecture: "gpgan", ...plain })
}
