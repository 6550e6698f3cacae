/** The contents of a checkpoint as one JSON document; every byte is read, one tensor at a time. */

import { Checkpoint, DType, JsonValue, TensorStats, TensorView } from "@adafm/checkpoint"
import { Failure, Files, type Flat, NdArray } from "@adafm/core"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Recognise from "../recognise/Recognise.ts"
import * as GraphNetwork from "../stacks/GraphNetwork.ts"
import * as StackModel from "../stacks/StackModel.ts"

/** Sum and largest magnitude are null for element types that cannot be read. */
export interface Tensor extends TensorStats.Stats {
  readonly path: Flat.Path
  readonly shape: readonly number[]
  readonly dtype: DType.DType
}

export interface Inspection {
  readonly file: string
  readonly bytes: number
  readonly sha256: string
  readonly format: Checkpoint.Format
  readonly tensors: readonly Tensor[]
  readonly scalars: Flat.Flat<JsonValue.JsonValue>
  /** The name of the architecture, or null where the tensors fit none. */
  readonly architecture: string | null
  /** The configuration, where the file holds a generator. */
  readonly config: object | null
  /** Where `architecture` is null: the nearest one and the tensors that do not fit it, as text. */
  readonly nearest: string | null
  /** What the architecture was read from; null where it is unknown. */
  readonly readFrom: "graph" | "names and shapes" | null
  /** What names and shapes do not show, as sentences. */
  readonly assumptions: readonly string[]
  readonly problems: readonly string[]
}

type Found = Pick<Inspection, "architecture" | "config" | "nearest" | "readFrom" | "assumptions">

const byNames = (recognised: Recognise.Recognised): Found => {
  switch (recognised._tag) {
    case "Known":
    case "Half": {
      const { config = null, assumptions = [] } = recognised
      const name = recognised._tag === "Half" ? recognised.architecture : recognised.config.architecture
      return { architecture: name, config, nearest: null, readFrom: "names and shapes", assumptions }
    }
    case "Unknown":
      return {
        architecture: null,
        config: null,
        nearest: Recognise.explain(recognised),
        readFrom: null,
        assumptions: [],
      }
  }
}

/** By the graph where the file has one, unless its names are those of an architecture with a name. */
const architecture = (checkpoint: Checkpoint.Checkpoint): Found => {
  const named = byNames(Recognise.checkpoint(checkpoint))
  if (!GraphNetwork.has(checkpoint) || (named.architecture !== null && named.architecture !== "dcgan")) return named
  try {
    const { config, assumptions } = StackModel.inspect(checkpoint)
    return { architecture: "dcgan", config, nearest: null, readFrom: "graph", assumptions }
  } catch (thrown) {
    const { message } = Failure.fromThrown(thrown)
    return { architecture: null, config: null, nearest: message, readFrom: null, assumptions: [] }
  }
}

/** Sum and largest magnitude; an element type that cannot be read is returned, not raised. */
const statsOf = (
  checkpoint: Checkpoint.Checkpoint,
  { path, dtype }: Checkpoint.Entry,
): TensorStats.Stats | Failure.Failure => {
  try {
    return TensorStats.of(DType.readAs(dtype)!, checkpoint.pieces(path))
  } catch (thrown) {
    if (thrown instanceof Failure.Raised && thrown.failure._tag === "UnsupportedDType") return thrown.failure
    throw thrown
  }
}

/** Lets other tasks run between two tensors. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export interface Options {
  /** Called before each tensor with its index and the number of tensors. */
  readonly onTensor?: (index: number, count: number, path: Flat.Path) => void
}

export const inspect = (file: string, { onTensor }: Options = {}): TE.TaskEither<Failure.Failure, Inspection> =>
  pipe(
    Checkpoint.use(file, async (checkpoint): Promise<Omit<Inspection, "sha256">> => {
      checkpoint.verify()
      const tensors: Tensor[] = []
      const entries = Object.values(checkpoint.tensors)
      const unread: string[] = []
      for (const entry of entries) {
        const { path, shape, dtype } = entry
        onTensor?.(tensors.length, entries.length, path)
        const stats = statsOf(checkpoint, entry)
        if ("_tag" in stats) unread.push(`${path} is listed but its values are not read: ${stats.message}`)
        tensors.push({ path, shape, dtype, ...("_tag" in stats ? { sum: null, absMax: null } : stats) })
        await breathe()
      }
      const { bytes, format, scalars } = checkpoint
      const problems = [...checkpoint.problems, ...unread]
      return { file, bytes, format, tensors, scalars, ...architecture(checkpoint), problems }
    }),
    TE.flatMap((inspection) =>
      pipe(
        Files.sha256(file),
        TE.map((sha256) => ({ ...inspection, sha256 })),
      ),
    ),
  )

export interface Difference {
  /** The path of a tensor or a scalar. */
  readonly path: Flat.Path
  readonly what: "only in A" | "only in B" | "shape" | "dtype" | "values" | "scalar"
  readonly a?: JsonValue.JsonValue
  readonly b?: JsonValue.JsonValue
  /** Of tensors whose values differ: the largest difference, and how many elements differ in their bits. */
  readonly maxAbsDiff?: JsonValue.JsonValue
  readonly different?: number
}

export interface Differences {
  /** Tensors that are equal to the bit. */
  readonly same: number
  readonly differences: readonly Difference[]
}

const bytesOf = ({ data }: NdArray.NdArray): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength)

/** The pieces of one tensor in both files: 1 MiB each, or the whole tensor where a file does not store it row-major. */
function* pairs(
  a: Checkpoint.Checkpoint,
  b: Checkpoint.Checkpoint,
  path: Flat.Path,
): Generator<readonly [NdArray.NdArray, NdArray.NdArray]> {
  const isRowMajor = ({ tensors }: Checkpoint.Checkpoint): boolean => TensorView.isContiguous(tensors[path]!)
  if (!isRowMajor(a) || !isRowMajor(b)) {
    yield [a.read(path), b.read(path)]
    return
  }
  const others = b.pieces(path)[Symbol.iterator]()
  for (const piece of a.pieces(path)) yield [piece, others.next().value as NdArray.NdArray]
}

/** How the values of one tensor differ; undefined where they are equal to the bit. */
const values = (
  a: Checkpoint.Checkpoint,
  b: Checkpoint.Checkpoint,
  path: Flat.Path,
): Omit<Difference, "path" | "what"> | undefined => {
  let [different, largest] = [0, 0]
  for (const [p, q] of pairs(a, b, path)) {
    const [x, y] = [bytesOf(p), bytesOf(q)]
    if (x.equals(y)) continue
    const width = NdArray.bytesPerElement[p.dtype]
    const [u, v] = [NdArray.toFloat64(p).data, NdArray.toFloat64(q).data]
    for (let i = 0; i < u.length; i++) {
      if (x.compare(y, i * width, (i + 1) * width, i * width, (i + 1) * width) === 0) continue
      different++
      const d = Math.abs(u[i]! - v[i]!)
      if (!(d <= largest)) largest = Number.isNaN(largest) ? largest : d
    }
  }
  if (different === 0) return undefined
  const stats = (c: Checkpoint.Checkpoint): JsonValue.JsonValue => ({
    ...TensorStats.of(DType.readAs(c.tensors[path]!.dtype)!, c.pieces(path)),
  })
  return { a: stats(a), b: stats(b), maxAbsDiff: JsonValue.number(largest), different }
}

/** The differences between two checkpoints by path: tensors first, then scalars. Tensors are read in pieces. */
export const diff = (
  fileA: string,
  fileB: string,
  { onTensor }: Options = {},
): TE.TaskEither<Failure.Failure, Differences> =>
  Checkpoint.use(fileA, (a) =>
    Failure.orThrow(
      Checkpoint.use(fileB, async (b): Promise<Differences> => {
        a.verify()
        b.verify()
        const differences: Difference[] = []
        let same = 0
        const paths = [...new Set([...Object.keys(a.tensors), ...Object.keys(b.tensors)])]
        for (const [index, path] of paths.entries()) {
          onTensor?.(index, paths.length, path)
          const [x, y] = [a.tensors[path], b.tensors[path]]
          if (y === undefined) differences.push({ path, what: "only in A", a: [...x!.shape] })
          else if (x === undefined) differences.push({ path, what: "only in B", b: [...y.shape] })
          else if (x.shape.join() !== y.shape.join())
            differences.push({ path, what: "shape", a: [...x.shape], b: [...y.shape] })
          else if (x.dtype !== y.dtype) differences.push({ path, what: "dtype", a: x.dtype, b: y.dtype })
          else {
            const found = values(a, b, path)
            if (found === undefined) same++
            else differences.push({ path, what: "values", ...found })
          }
          await breathe()
        }
        for (const path of new Set([...Object.keys(a.scalars), ...Object.keys(b.scalars)])) {
          const [x, y] = [a.scalars[path], b.scalars[path]]
          if (JSON.stringify(x) !== JSON.stringify(y))
            differences.push({
              path,
              what: "scalar",
              ...(x !== undefined && { a: x }),
              ...(y !== undefined && { b: y }),
            })
        }
        return { same, differences }
      }),
    ),
  )
