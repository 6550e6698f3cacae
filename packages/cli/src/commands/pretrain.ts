import { Failure } from "@adafm/core"
import type { Gan as Gan_ } from "@adafm/gan"
import { z } from "zod"
import * as Settings from "../Settings.ts"
import * as TrainingFlags from "../TrainingFlags.ts"
import * as Values from "../Values.ts"
import * as Verb from "../Verb.ts"
import { engineOf, usage } from "../Verb.ts"

const shape = {
  ...TrainingFlags.shape,
  steps: Values.count.default(10_000),
  arch: z.exactOptional(z.enum(["gpgan", "gpgan-small-head", "dcgan", "fastgan"])),
  from: z.exactOptional(Values.folder),
  nf: z.exactOptional(Values.width),
  nfMax: z.exactOptional(Values.width),
  zDim: z.exactOptional(Values.width),
  embed: z.exactOptional(Values.width),
  styleDim: z.exactOptional(Values.width),
}

/** Length of the class embedding of a conditional model. */
const EMBED = 32

type Wanted = z.output<z.ZodObject<typeof shape>>
type Described = Wanted & { readonly arch: NonNullable<Wanted["arch"]> }

/** Refuses flags that the architecture does not use. */
const checkUsed = ({ arch, nfMax, embed, styleDim }: Described): void => {
  const isPlain = arch === "dcgan" || arch === "fastgan"
  const idle = [
    isPlain && nfMax !== undefined && "--nf-max",
    isPlain && embed !== undefined && "--embed",
    arch !== "gpgan-small-head" && styleDim !== undefined && "--style-dim",
  ].filter((flag) => flag !== false)
  if (idle.length > 0) usage(`--arch ${arch} does not use ${idle.join(", ")}`)
}

const describe = (settings: Described, standard: typeof import("@adafm/gan").Dcgan.standard) => {
  checkUsed(settings)
  if (settings.arch === "fastgan") {
    const { arch, size = 64, nf = 16, zDim: z_dim = 256 } = settings
    return { architecture: arch, resolution: size, ngf: nf, ndf: nf, decoder: Math.ceil(nf / 2), z_dim }
  }
  const { arch, size = 32, nf = 64, nfMax, zDim: z_dim = 256, embed, styleDim, conditional } = settings
  if (arch === "dcgan") {
    if (size < 8 || !Number.isInteger(Math.log2(size)))
      Failure.raise("WrongSize", `--size ${size}: dcgan makes images of 8, 16, 32, … px`)
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

/** Refuses flags that contradict the earlier model. */
const checkSame = ({ config, image, latent }: Gan_.Gan, { arch, size, zDim, styleDim }: Omit<Wanted, "from">): void => {
  const asked = {
    "--arch": [arch, config.architecture],
    // a GP-GAN can grow; its configuration's schema knows the sizes
    "--size": [config.architecture === "gpgan" && size !== undefined && size > image[0] ? image[0] : size, image[0]],
    "--z-dim": [zDim, latent.dim],
    "--style-dim": [styleDim, "style_dim" in config ? config.style_dim : undefined],
  }
  for (const [flag, [wanted, own]] of Object.entries(asked))
    if (wanted !== undefined && wanted !== own)
      usage(`${flag} ${wanted}: the model of --from has ${own ?? "none"}, and more training cannot change it`)
}

/** The architecture of the earlier model, with the widths of the flags. */
const inherited = async (from: string, wanted: Omit<Wanted, "from">): Promise<object> => {
  const { Model } = await import("@adafm/job")
  const { gan } = await Failure.orThrow(Model.open(from))
  checkSame(gan, wanted)
  const { nf, nfMax, embed, size } = wanted
  return {
    ...gan.config,
    ...(size !== undefined && gan.config.architecture === "gpgan" && { resolution: size }),
    ...(nf !== undefined && { nf }),
    ...(nfMax !== undefined && { nf_max: nfMax }),
    ...(embed !== undefined && { embed }),
  }
}

/** The flag of a key of an architecture's configuration. */
const flagOf = (key: string): string => (key === "resolution" ? "--size" : `--${key.replaceAll("_", "-")}`)

const configOf = async ({ from, ...settings }: Wanted): Promise<Gan_.Config> => {
  const { Dcgan, Gan } = await import("@adafm/gan")
  const { arch } = settings
  if (arch === undefined && from === undefined)
    return usage("--arch (an architecture) or --from (an earlier model) is required")
  const wanted =
    from !== undefined ? await inherited(from, settings) : describe({ ...settings, arch: arch! }, Dcgan.standard)
  const parsed = Gan.Config.safeParse(wanted)
  return parsed.success
    ? parsed.data
    : usage(parsed.error.issues.map((issue) => Verb.refusal(issue, { ...wanted }, flagOf)).join("; "))
}

export const pretrain: Verb.Verb<typeof shape> = {
  name: "pretrain",
  about: "train a GAN from scratch, or from an earlier model: the source of a transfer",
  flags: [
    ["--arch <name>", "the architecture: gpgan, gpgan-small-head, dcgan, or fastgan (made for about a hundred images)"],
    [
      "--from <model>",
      "start from this model; --nf and --nf-max may be multiples of its own, which widens it first, and --size twice a GP-GAN's, which grows it",
    ],
    ...TrainingFlags.flags,
    ["--steps <n>", "iterations in total (default 10000)"],
    ["--nf <n>", "channels at full resolution (default 64; of a fastgan the unit of its widths, default 16)"],
    ["--nf-max <n>", "channels of the widest layer (default 16 nf)"],
    ["--z-dim <n>", "length of the latent vector (default 256)"],
    ["--embed <n>", "length of the class embedding (default 1; 32 with --conditional)"],
    ["--style-dim <n>", "width of the small head's styles (default 256)"],
  ],
  shape,
  read: Settings.gather,
  run: async ({ options: settings, terminal }) => {
    const config = await configOf(settings)
    const { Pretrain } = await import("@adafm/job")
    const engine = await engineOf(settings)
    const progress = terminal.progress("steps")
    const { every = Math.max(1, Math.ceil(settings.steps / 10)) } = settings
    const { penalty, ...options } = { ...TrainingFlags.options(settings, terminal, progress), every }
    const outcome = await Failure.orThrow(
      Pretrain.run({ ...options, config, ...(penalty !== undefined && { penaltyWeight: penalty }) }, engine),
    ).finally(progress.stop)
    return TrainingFlags.answer(outcome, settings.steps)
  },
}
