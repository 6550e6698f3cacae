/**
 * A model on disk: `model.json` (what a checkpoint does not contain: architecture, strides, slopes, the distribution of z),
 * `generator.safetensors` and, unless the description says that it is missing, `discriminator.safetensors`. Tensors are in the
 * file's layout.
 */
import { Failure, Files, Flat, type Leaf, NdArray, Path, Safetensors } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { z } from "zod"
import * as Gan from "../Gan.ts"
import type { Networks, Params } from "../training/State.ts"

export const Description = z.strictObject({
  version: z.literal(1).default(1),
  config: Gan.Config,
  /** The distribution of z: the architecture's, unless the source was trained with another. */
  latent: z.strictObject({ distribution: z.enum(["normal", "uniform"]), dim: z.number().int().positive() }),
  /** Which statistics batch norm uses for sampling: the stored ones or the batch's. */
  batchNorm: z.enum(["stored", "batch"]).default("stored"),
  /** Set if there is only a generator. The model can be sampled, scored and exported, but no transfer can keep its discriminator. */
  missing: z.literal("discriminator").optional(),
  source: z.strictObject({ file: z.string().optional(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }).optional(),
})
export type Description = z.output<typeof Description>

/** The discriminator's parameters are empty if the description says that it is missing. */
export interface Model extends Networks {
  readonly description: Description
  readonly gan: Gan.Gan
}

/** Receives what users should know of a folder that is read nevertheless. */
export type Note = (line: string) => void

/** The note of a file that an older version wrote. */
export const unchecked = (file: string): string =>
  `${file} has no checksums, because an older version wrote it: damage would not be noticed`

/** The description of a GAN, with the latents of its architecture. */
export const describe = (
  gan: Gan.Gan,
  more: Partial<Pick<Description, "batchNorm" | "missing" | "source">> = {},
): Description => ({
  version: 1,
  config: gan.config,
  latent: gan.latent,
  batchNorm: "stored",
  ...more,
})

/** The GAN of a description, with the description's latents. */
export const ganOf = ({ config, latent }: Description): Gan.Gan => ({ ...Gan.of(config), latent })

/** Arrays without NaN and infinity, one of which would spoil every image. Failure: `NotFinite` with the path of the tensor. */
export const finite = <A extends NdArray.NdArray<"float32" | "int32">>(
  arrays: Flat.Flat<A>,
): E.Either<Failure.Failure, Flat.Flat<A>> => {
  const bad = Object.keys(arrays).find((path) => !NdArray.allFinite(arrays[path]!))
  return bad === undefined
    ? E.right(arrays)
    : E.left(
        Failure.make(
          "NotFinite",
          "the tensor contains NaN or infinity: its training diverged, or the file was changed",
          {
            path: bad,
          },
        ),
      )
}

/** The parameters as float32, if names and shapes are exactly those of the specs; otherwise an error that lists the differences. */
export const match = (
  leaves: Flat.Flat<Leaf.Leaf>,
  arrays: Flat.Flat<NdArray.NdArray>,
  net: string,
): E.Either<Failure.Failure, Params> => {
  const text = (shape: readonly number[] | undefined): string =>
    shape === undefined ? "nothing" : `[${shape.join(", ")}]`
  const differences = [...new Set([...Object.keys(leaves), ...Object.keys(arrays)])].flatMap((path) => {
    const [expected, found] = [leaves[path]?.shape, arrays[path]?.shape]
    return text(expected) === text(found) ? [] : [`${path}: expected ${text(expected)}, found ${text(found)}`]
  })
  if (differences.length === 0) return finite(Flat.map(leaves, (_, path) => NdArray.toFloat32(arrays[path]!)))
  const shown = differences.slice(0, 10).join("; ")
  const more = differences.length > 10 ? `; and ${differences.length - 10} more` : ""
  return E.left(Failure.make("WrongParameters", `${shown}${more}`, { path: net }))
}

/** Reads a JSON file that must match a schema. */
export const readJson = <A>(schema: z.ZodType<A>, file: string): TE.TaskEither<Failure.Failure, A> =>
  pipe(
    Files.readJson(file),
    TE.flatMapEither((value) => {
      const result = schema.safeParse(value)
      return result.success
        ? E.right(result.data)
        : E.left(Failure.make("BadConfig", Failure.ofIssues(result.error.issues, value), { file }))
    }),
  )

export const tensorFile = (folder: string, net: string): string => Path.join(folder, `${net}.safetensors`)

/** Names, shapes, checksums and values are checked: a model that is returned can be used. Failures name the file and the tensor. */
export const read = (folder: string, note?: Note): TE.TaskEither<Failure.Failure, Model> =>
  Failure.attempt(async () => {
    const description = await Failure.orThrow(readJson(Description, Path.join(folder, "model.json")))
    const gan = ganOf(description)
    const network = (net: "generator" | "discriminator"): TE.TaskEither<Failure.Failure, Params> => {
      const file = tensorFile(folder, net)
      return pipe(
        Safetensors.read(file),
        TE.tapIO(({ isChecked }) => () => {
          if (!isChecked) note?.(unchecked(file))
        }),
        TE.flatMapEither(({ tensors }) => match(gan[net], tensors, net)),
        TE.mapLeft(Failure.inFile(file)),
      )
    }
    const generator = await Failure.orThrow(network("generator"))
    const discriminator =
      description.missing === undefined ? await Failure.orThrow(network("discriminator")) : Flat.empty<Params[string]>()
    return { description, gan, generator, discriminator }
  })

/** Throws if the model has no discriminator. @param hint what needs it, or what to do */
export const requireDiscriminator = ({ description }: Pick<Model, "description">, hint: string, file: string): void => {
  if (description.missing !== undefined)
    Failure.raise("NoDiscriminator", `the model has only a generator: ${hint}`, { file })
}

/** Writes the tensors first, so that a folder with a `model.json` is complete. */
export const write = (
  folder: string,
  description: Description,
  { generator, discriminator }: Networks,
): TE.TaskEither<Failure.Failure, void> =>
  pipe(
    Safetensors.write(tensorFile(folder, "generator"), generator),
    TE.flatMap(() =>
      description.missing === undefined
        ? Safetensors.write(tensorFile(folder, "discriminator"), discriminator)
        : TE.right(undefined),
    ),
    TE.flatMap(() => Files.write(Path.join(folder, "model.json"), `${JSON.stringify(description, null, 2)}\n`)),
  )
