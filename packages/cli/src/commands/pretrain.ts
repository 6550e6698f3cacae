import { Failure } from "@adafm/core"
import type { Gan as Gan_ } from "@adafm/gan"
import { z } from "zod"
import * as Settings from "../Settings.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf, orFail } from "../Verb.ts"
import * as Training from "./training.ts"

const shape = {
  ...Training.shape,
  steps: Values.count.default(10_000),
  arch: z.enum(["gpgan", "gpgan-small-head", "dcgan"]),
  nf: Values.count.default(64),
  nfMax: z.exactOptional(Values.count),
  zDim: Values.count.default(256),
  embed: z.exactOptional(Values.count),
  styleDim: z.exactOptional(Values.count),
}

/** Embedding of a conditional model's labels. */
const EMBED = 32

const describe = (
  settings: z.output<z.ZodObject<typeof shape>>,
  standard: typeof import("@adafm/gan").Dcgan.standard,
) => {
  const { arch, size = 32, nf, nfMax, zDim: z_dim, embed, styleDim, conditional } = settings
  if (arch === "dcgan") {
    if (size < 8 || !Number.isInteger(Math.log2(size)))
      Failure.raise("WrongSize", `dcgan makes images of 8, 16, 32, … px, not of ${size}`)
    return standard({ resolution: size, nf, z_dim })
  }
  return {
    architecture: arch,
    resolution: size,
    nf,
    z_dim,
    embed: embed ?? (conditional ? EMBED : 1),
    ...(nfMax !== undefined && { nf_max: nfMax }),
    ...(arch === "gpgan-small-head" && { head_blocks: Math.max(1, Math.log2(size / 4) - 3) }),
    ...(arch === "gpgan-small-head" && styleDim !== undefined && { style_dim: styleDim }),
  }
}

const configOf = async (settings: z.output<z.ZodObject<typeof shape>>): Promise<Gan_.Config> => {
  const { Dcgan, Gan } = await import("@adafm/gan")
  const parsed = Gan.Config.safeParse(describe(settings, Dcgan.standard))
  return parsed.success
    ? parsed.data
    : Failure.raise("BadConfig", z.prettifyError(parsed.error), { path: String(parsed.error.issues[0]?.path[0] ?? "") })
}

export const pretrain: Verb.Verb<typeof shape> = {
  name: "pretrain",
  about: "a GAN from nothing: the source of a transfer",
  flags: [
    ["--arch <name>", "gpgan, gpgan-small-head or dcgan"],
    ...Training.flags,
    ["--steps <n>", "iterations in all (default 10000)"],
    ["--nf <n>", "channels at full resolution (default 64)"],
    ["--nf-max <n>", "channels of the widest layer (default 16 nf)"],
    ["--z-dim <n>", "length of z (default 256)"],
    ["--embed <n>", "length of a label's embedding (default 1, of a conditional model 32)"],
    ["--style-dim <n>", "width of the small head's styles (default 256)"],
  ],
  shape,
  read: Settings.gather,
  run: async ({ options: settings, terminal }) => {
    const config = await configOf(settings)
    const { Pretrain } = await import("@adafm/job")
    const engine = await engineOf(settings)
    const progress = terminal.progress("steps")
    const { penalty, ...options } = Training.options(settings, terminal, progress)
    const outcome = await orFail(
      Pretrain.run({ ...options, config, ...(penalty !== undefined && { penaltyWeight: penalty }) }, engine),
    ).finally(progress.stop)
    return Training.answer(outcome, settings.steps)
  },
}
