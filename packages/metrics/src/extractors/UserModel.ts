/** A user's `.onnx` as an extractor: a JSON file of the same name declares how images become its input. */
import { Failure, Files, NdArray, Path } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { z } from "zod"
import * as Protocol from "../Protocol.ts"
import * as NetworkSession from "./NetworkSession.ts"

const pixels = z.number().int().positive()
const channels = <T extends z.ZodNumber>(value: T) => z.tuple([value, value, value])

const Declaration = z.strictObject({
  /** Height and width of the input, in pixels; optional if the graph fixes them. */
  size: z.union([pixels, z.tuple([pixels, pixels])]).optional(),
  /** Input = (x / 255 - mean) / std, per channel. */
  mean: channels(z.number()).default([0.5, 0.5, 0.5]),
  std: channels(z.number().positive()).default([0.5, 0.5, 0.5]),
  /** Dimensions of the feature; by default those of the output. */
  dims: pixels.optional(),
  /** The output that is the feature; by default `features`, or else the first. */
  output: z.string().min(1).optional(),
  name: z.string().min(1).optional(),
})
type Declaration = z.output<typeof Declaration>

const EXAMPLE = `{"size": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}`

const bad = (file: string, message: string): never => Failure.raise("BadExtractor", message, { file })

const read = (file: string, json: string): TE.TaskEither<Failure.Failure, Declaration> =>
  pipe(
    Files.readText(json),
    TE.mapLeft((failure) =>
      failure._tag === "System.ENOENT"
        ? Failure.make("BadExtractor", `${json} must declare how images become the input, for example ${EXAMPLE}`, {
            file,
          })
        : failure,
    ),
    TE.flatMapEither((text) => {
      const invalid = (problem: string): E.Either<Failure.Failure, Declaration> =>
        E.left(Failure.make("BadExtractor", `the declaration of the input is invalid: ${problem}`, { file: json }))
      try {
        const value: unknown = JSON.parse(text)
        const declared = Declaration.safeParse(value)
        return declared.success ? E.right(declared.data) : invalid(Failure.ofIssues(declared.error.issues, value))
      } catch (thrown) {
        return invalid(String(thrown))
      }
    }),
  )

/** Height and width of the input: declared, or fixed by the graph. */
const sizeOf = (file: string, declared: Declaration["size"], shape: readonly (number | string)[]) => {
  const [, c, h, w] = shape
  if (shape.length !== 4 || (typeof c === "number" && c !== 3))
    return bad(file, `expected a graph with an input [N, 3, H, W], found [${shape.join(", ")}]`)
  const fixed = typeof h === "number" && typeof w === "number" ? ([h, w] as const) : undefined
  const size = typeof declared === "number" ? ([declared, declared] as const) : (declared ?? fixed)
  if (size === undefined)
    return bad(
      file,
      `the graph does not fix the size of its input [${shape.join(", ")}]: declare it as "size" in the JSON file`,
    )
  if (fixed !== undefined && fixed.join() !== size.join())
    return bad(file, `the declared size is ${size.join(" × ")}, but the graph's is ${fixed.join(" × ")}`)
  return size
}

/** For a graph with a fixed batch size: the rows of `x` in batches of `fixed`, the last one padded with zeros. */
const inBatches = async (
  x: NdArray.NdArray<"float32">,
  fixed: number | string | undefined,
  run: (x: NdArray.NdArray<"float32">) => Promise<Readonly<Record<string, NdArray.NdArray<"float32">>>>,
): Promise<Readonly<Record<string, NdArray.NdArray<"float32">>>> => {
  const [n, ...rest] = x.shape as [number, ...number[]]
  if (typeof fixed !== "number" || fixed < 1 || fixed === n) return run(x)
  const per = x.data.length / n
  const found: Record<string, Float32Array> = {}
  for (let first = 0; first < n; first += fixed) {
    const rows = Math.min(fixed, n - first)
    const batch = new Float32Array(fixed * per)
    batch.set(x.data.subarray(first * per, (first + rows) * per))
    for (const [name, { data }] of Object.entries(await run(NdArray.float32([fixed, ...rest], batch)))) {
      const width = data.length / fixed
      found[name] ??= new Float32Array(n * width)
      found[name].set(data.subarray(0, rows * width), first * width)
    }
  }
  return Object.fromEntries(
    Object.entries(found).map(([name, data]) => [name, NdArray.float32([n, data.length / n], data)]),
  )
}

/** @param file `model.onnx`, with `model.json` in the same folder */
export const open = (file: string, options: NetworkSession.Options & { readonly mode?: Protocol.Mode }) =>
  pipe(
    TE.Do,
    TE.bind("declared", () => read(file, file.replace(/\.onnx$/, ".json"))),
    TE.bind("sha256", () => Files.sha256(file)),
    TE.bind("running", () => NetworkSession.open(file, options)),
    TE.flatMap(({ declared: { mean, std, name, output, ...declared }, sha256, running }) =>
      Failure.attempt(async () => {
        const { session } = running
        const close = async <A>(failed: () => A): Promise<A> => {
          await session.release()
          return failed()
        }
        if (session.inputs.length !== 1)
          return close(() => bad(file, `expected a graph with one input, found ${session.inputs.join(", ")}`))
        const shape = session.inputShapes[session.inputs[0]!] ?? []
        const size = sizeOf(file, declared.size, shape)
        const chosen = output ?? (session.outputs.includes("features") ? "features" : session.outputs[0]!)
        if (!session.outputs.includes(chosen))
          return close(() => bad(file, `the graph has no output ${chosen}, only ${session.outputs.join(", ")}`))
        const each = (f: (c: 0 | 1 | 2) => number): readonly [number, number, number] => [f(0), f(1), f(2)]
        const run = async (x: NdArray.NdArray<"float32">) => {
          const results = await inBatches(x, shape[0], NetworkSession.runner(running))
          const { data } = results[chosen]!
          return { ...results, features: NdArray.float32([x.shape[0]!, data.length / x.shape[0]!], data) }
        }
        // run one black image: it shows whether the declaration and the graph agree before all images are decoded
        const { features } = await run(NdArray.zeros("float32", [1, 3, ...size])).catch((thrown: Error) =>
          close(() => bad(file, `the graph does not run on [1, 3, ${size.join(", ")}]: ${thrown.message}`)),
        )
        const dims = features.data.length
        if (declared.dims !== undefined && declared.dims !== dims)
          return close(() =>
            bad(file, `${declared.dims} dimensions are declared, but the output ${chosen} has ${dims}`),
          )
        const { scoreInput: _, ...protocol } = Protocol.of(options.mode ?? "pytorch-fid")
        return {
          name: name ?? Path.basename(file, ".onnx"),
          dims,
          sha256,
          size,
          run,
          comparable: true,
          declared: { size, mean, std, output: chosen },
          protocol: {
            ...protocol,
            normalise: `(x/255 - [${mean}]) / [${std}]`,
            scale: each((c) => 1 / (255 * std[c])),
            shift: each((c) => -mean[c] / std[c]),
            logits: "logits" as const,
          },
          hasLogits: session.outputs.includes("logits"),
          ...NetworkSession.withPreprocessing(running),
        }
      }),
    ),
    TE.mapLeft(Failure.inFile(file)),
  )
