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
  if (differences.length === 0) return E.right(Flat.map(leaves, (_, path) => NdArray.toFloat32(arrays[path]!)))
  const shown = differences.slice(0, 10).join("; ")
  const more = differences.length > 10 ? `; and ${differences.length - 10} more` : ""
  return E.left(Failure.make("WrongParameters", `${shown}${more}`, { path: net }))
}

const parse =
  <A>(schema: z.ZodType<A>, file: string) =>
  (bytes: Uint8Array): E.Either<Failure.Failure, A> => {
    const json = E.tryCatch(
      () => JSON.parse(new TextDecoder().decode(bytes)) as unknown,
      (thrown) => Failure.make("BadJson", String(thrown), { file }),
    )
    return pipe(
      json,
      E.flatMap((value) => {
        const result = schema.safeParse(value)
        return result.success
          ? E.right(result.data)
          : E.left(Failure.make("BadConfig", Failure.ofIssues(result.error.issues, value), { file }))
      }),
    )
  }

/** Reads a JSON file that must match a schema. */
export const readJson = <A>(schema: z.ZodType<A>, file: string): TE.TaskEither<Failure.Failure, A> =>
  pipe(Files.read(file), TE.flatMapEither(parse(schema, file)))

export const tensorFile = (folder: string, net: string): string => Path.join(folder, `${net}.safetensors`)

export const read = (folder: string): TE.TaskEither<Failure.Failure, Model> =>
  pipe(
    readJson(Description, Path.join(folder, "model.json")),
    TE.flatMap((description) => {
      const gan = ganOf(description)
      const network = (net: "generator" | "discriminator"): TE.TaskEither<Failure.Failure, Params> =>
        pipe(
          Safetensors.read(tensorFile(folder, net)),
          TE.flatMapEither(({ tensors }) => match(gan[net], tensors, net)),
          TE.mapLeft(Failure.inFile(tensorFile(folder, net))),
        )
      return pipe(
        network("generator"),
        TE.flatMap((generator) =>
          pipe(
            description.missing === undefined ? network("discriminator") : TE.right(Flat.empty<Params[string]>()),
            TE.map((discriminator) => ({ description, gan, generator, discriminator })),
          ),
        ),
      )
    }),
  )

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
