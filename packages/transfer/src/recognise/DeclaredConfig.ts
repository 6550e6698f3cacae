/** The configuration that a safetensors file declares: the metadata entry `config`, a JSON string. */
import { Failure } from "@adafm/core"
import { GpGan, type ResnetGan, SmallHead } from "@adafm/gan"
import * as z from "zod"

const count = z.number().int().positive()

/** Other keys (seeds, batch sizes) are allowed and ignored. */
const Claimed = z.object({
  model: z.enum(["plain", "adafm"]).optional(),
  resolution: z.union([GpGan.Resolution, z.literal(512)]).optional(),
  nf: count.optional(),
  nf_max: count.optional(),
  z_dim: count.optional(),
  embed: count.optional(),
  nlabels: count.optional(),
  style_dim: count.optional(),
  /** Present: small head with AdaFM, and a discriminator without labels. */
  head_blocks: count.optional(),
  head_scale: z.number().positive().optional(),
  head_gradient: z.number().positive().optional(),
  head_norm: z.enum(SmallHead.NORMS).optional(),
})
export type Claim = z.output<typeof Claimed>

/** The file's declaration; undefined where there is none. */
export const read = (metadata: Readonly<Record<string, string>>): Claim | undefined => {
  const text = metadata.config
  if (text === undefined) return undefined
  const bad = (message: string): never => Failure.raise("BadConfig", message, { path: "__metadata__.config" })
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return bad("the metadata entry `config` is not JSON")
  }
  const parsed = Claimed.safeParse(json)
  return parsed.success
    ? parsed.data
    : bad(parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "))
}

/** The configuration guessed from the shapes, with the declared values in place of the guessed ones. */
export const believe = <C extends GpGan.Config | SmallHead.Config | ResnetGan.Config>(
  guess: C,
  claim: Claim | undefined,
): C => {
  const { model: _, style_dim, head_blocks, head_scale, head_gradient, head_norm, nf_max, ...all } = claim ?? {}
  const own = {
    gpgan: { nf_max },
    "gpgan-small-head": { nf_max, style_dim, head_blocks, head_scale, head_gradient, head_norm },
    resnet3: {},
    resnet4: {},
  }[guess.architecture]
  const said = Object.fromEntries(Object.entries({ ...all, ...own }).filter(([, value]) => value !== undefined))
  return { ...guess, ...said }
}
