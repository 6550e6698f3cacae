/**
 * Keras' own files: `.h5` (Keras 2 and 3: weights, and `model_config` where the whole model was saved) and `.keras` (a zip of
 * `config.json` and `model.weights.h5`). https://github.com/keras-team/keras/tree/master/keras/src/saving
 */

import { Failure, Flat, NdArray } from "@adafm/core"
import * as Hdf5File from "#hdf5/Hdf5File"
import * as ByteSource from "../ByteSource.ts"
import * as DType from "../DType.ts"
import type * as Messages from "../hdf5/Hdf5Messages.ts"
import * as JsonFile from "../JsonFile.ts"
import type * as ParsedFile from "../ParsedFile.ts"
import * as TensorView from "../TensorView.ts"
import type * as Topology from "../Topology.ts"
import type * as ZipReader from "../zip/ZipReader.ts"

const dtypeOf = ({ type, bytes, signed }: Messages.Listed): DType.DType | undefined => {
  if (type === "f") return ({ 2: "float16", 4: "float32", 8: "float64" } as const)[bytes!]
  if (type !== "i") return undefined
  return signed === true
    ? ({ 1: "int8", 2: "int16", 4: "int32", 8: "int64" } as const)[bytes!]
    : ({ 1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64" } as const)[bytes!]
}

/** A list of texts; Keras splits one of more than 64 KB into `NAME0`, `NAME1`, …. */
const texts = ({ attributes }: Messages.Listed, name: string): readonly string[] | undefined => {
  const whole = attributes[name]
  if (whole !== undefined) return typeof whole === "string" ? [whole] : whole
  const parts: string[] = []
  for (let i = 0; attributes[`${name}${i}`] !== undefined; i++) parts.push(...[attributes[`${name}${i}`]!].flat())
  return parts.length === 0 ? undefined : parts
}

/** The layers of an `.h5`: for each, its datasets in the layer's own order. */
const layersOf = (entries: readonly Messages.Listed[]): ReadonlyMap<string, readonly string[]> => {
  const groups = new Map(entries.map((entry) => [entry.path, entry]))
  const top = ["model_weights", ""].find((path) => {
    const group = groups.get(path)
    return group !== undefined && texts(group, "layer_names") !== undefined
  })
  if (top === undefined) return new Map()
  const at = (name: string): string => (top === "" ? name : `${top}/${name}`)
  return new Map(
    texts(groups.get(top)!, "layer_names")!.map((layer) => {
      const names = texts(groups.get(at(layer)) ?? { path: "", kind: "group", attributes: {} }, "weight_names") ?? []
      return [layer, names.map((name) => `${at(layer)}/${name}`)]
    }),
  )
}

/** `model_weights/dense/dense/kernel:0` as `dense/kernel`, the name that TensorFlow.js gives it too. */
const shortName = (path: string): string => {
  const parts = path.replace(/:\d+$/, "").split("/")
  return parts.slice(-2).join("/")
}

interface Tensors {
  readonly views: Flat.Flat<TensorView.View>
  /** Paths of the views by the datasets' paths. */
  readonly names: ReadonlyMap<string, string>
  readonly problems: readonly string[]
}

const tensors = (
  { entries, read }: Hdf5File.Hdf5File,
  order: readonly string[],
  source: ByteSource.Source,
  given: ReadonlyMap<string, string> = new Map(),
): Tensors => {
  const datasets = entries.filter(({ kind, path }) => kind === "dataset" && !/^optimizer(_weights)?\//.test(path))
  const rank = new Map(order.map((path, i) => [path, i]))
  const last = order.length
  const sorted = datasets.toSorted((a, b) => (rank.get(a.path) ?? last) - (rank.get(b.path) ?? last))
  const short = new Map<string, number>()
  for (const { path } of sorted) short.set(shortName(path), (short.get(shortName(path)) ?? 0) + 1)
  const views = Flat.empty<TensorView.View>()
  const names = new Map<string, string>()
  const problems: string[] = []
  for (const entry of sorted) {
    const { path, shape = [] } = entry
    const dtype = dtypeOf(entry)
    if (dtype === undefined) {
      problems.push(`${path} holds no numbers (${entry.type}) and is left out`)
      continue
    }
    const name = given.get(path) ?? (rank.has(path) && short.get(shortName(path)) === 1 ? shortName(path) : path)
    const length = NdArray.sizeOf(shape)
    const bytes = length * DType.bytesPerElement(dtype)
    // a damaged shape must not claim memory that the file cannot fill; deflate packs at most 1,032 times
    if (bytes > 1032 * source.size)
      Failure.raise("BadTensor", `shape [${shape.join(", ")}] takes ${bytes} bytes, far more than the file has`, {
        path,
      })
    const storage: TensorView.Storage = {
      bytes: ByteSource.decoded(bytes, 0, () => {
        const found = read(path)
        return found.length === bytes
          ? found
          : Failure.raise("BadTensor", `expected ${bytes} bytes, found ${found.length}`, { path })
      }),
      dtype,
      length,
      bigEndian: false,
      key: path,
    }
    views[name] = TensorView.dense(storage, shape, name)
    names.set(path, name)
  }
  return { views, names, problems }
}

const parseConfig = (text: string): JsonFile.JsonObject =>
  JsonFile.parse(ByteSource.ofBytes(new TextEncoder().encode(text)))

/** The paths of each layer's tensors; those of a model in the model are found by the names of its own layers. */
const byLayer = (layers: ReadonlyMap<string, readonly string[]>, names: ReadonlyMap<string, string>) => {
  const found: Record<string, string[]> = Object.create(null)
  for (const [layer, paths] of layers)
    for (const path of paths) {
      const name = names.get(path)
      const inner = path.split("/").at(-2)
      if (name === undefined) continue
      for (const key of new Set([layer, inner ?? layer])) found[key] = [...(found[key] ?? []), name]
    }
  return found
}

/** What the variables of a layer are, by the kind that its group is named after and their number. */
const VARIABLES: readonly (readonly [kind: RegExp, names: readonly string[]])[] = [
  [/^(dense|conv2d|conv2d_transpose)$/, ["kernel", "bias"]],
  [/^batch_normalization$/, ["gamma", "beta", "moving_mean", "moving_variance"]],
  [/^(layer|group)_normalization$/, ["gamma", "beta"]],
  [/^embedding$/, ["embeddings"]],
  [/^p_re_lu$/, ["alpha"]],
]

/**
 * The names of a `.weights.h5` of Keras 3, `layers/conv2d_1/vars/0`, as `layers/conv2d_1/kernel`. Norms without scale or shift have
 * fewer variables, and nothing says which: theirs stay numbers.
 */
const namedVariables = (paths: readonly string[]): ReadonlyMap<string, string> =>
  new Map(
    paths.flatMap((path) => {
      const [, group = "", index] = /^(.*)\/vars\/(\d+)$/.exec(path) ?? []
      const kind = group.split("/").at(-1)!.replace(/_\d+$/, "")
      const names = VARIABLES.find(([pattern]) => pattern.test(kind))?.[1] ?? []
      const count = paths.filter((p) => p.startsWith(`${group}/vars/`)).length
      const isNorm = kind.endsWith("normalization")
      const name = isNorm && count !== names.length ? undefined : names[Number(index)]
      return name === undefined ? [] : [[path, `${group}/${name}`] as const]
    }),
  )

/** An `.h5` of Keras: a whole model, or weights alone. */
export const readHdf5 = (source: ByteSource.Source): ParsedFile.ParsedFile => {
  const file = Hdf5File.open(source)
  const layers = layersOf(file.entries)
  // Keras 3 names groups by kind and number, and HDF5 lists them sorted
  const isSorted = layers.size === 0
  const given = isSorted ? namedVariables(file.entries.map(({ path }) => path)) : new Map<string, string>()
  const { views, names, problems } = tensors(file, [...layers.values()].flat(), source, given)
  if (Object.keys(views).length === 0)
    return Failure.raise("NotACheckpoint", "an HDF5 file without a dataset of numbers", { offset: 0 })
  const { model_config, keras_version } = file.entries[0]!.attributes
  return {
    format: "keras",
    views,
    scalars: typeof keras_version === "string" ? { keras_version } : {},
    metadata: {},
    isSorted,
    ...(typeof model_config === "string" && {
      topology: { kind: "keras" as const, config: parseConfig(model_config), weights: byLayer(layers, names) },
    }),
    problems,
    verify: () => undefined,
  }
}

const CONFIG = "config.json"
const WEIGHTS = "model.weights.h5"

export const isKeras = ({ members }: ZipReader.Directory): boolean => members.has(CONFIG) && members.has(WEIGHTS)

/** `Conv2DTranspose` → `conv2d_transpose`, as Keras names the groups of `model.weights.h5`. */
const snakeCase = (name: string): string =>
  name
    .replace(/\W+/g, "")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase()

interface Layer {
  readonly class: string
  readonly name: string
  readonly layers: readonly Layer[]
}

const MAX_DEPTH = 16

const layerTree = (value: unknown, depth = 0): Layer | undefined => {
  if (!JsonFile.isObject(value) || typeof value.class_name !== "string" || depth > MAX_DEPTH) return undefined
  const config = JsonFile.isObject(value.config) ? value.config : {}
  const inner = Array.isArray(config.layers) ? (config.layers as readonly unknown[]) : []
  const name = typeof value.name === "string" ? value.name : typeof config.name === "string" ? config.name : ""
  return { class: value.class_name, name, layers: inner.flatMap((l) => layerTree(l, depth + 1) ?? []) }
}

/** The datasets of each layer: groups are named after the layers' classes, with a number from the second on. */
const groupsOf = (
  { layers }: Layer,
  prefix: string,
  datasets: readonly string[],
  found: Map<string, readonly string[]>,
): void => {
  const used = new Map<string, number>()
  for (const layer of layers) {
    const base = snakeCase(layer.class)
    const times = used.get(base) ?? 0
    used.set(base, times + 1)
    // Keras 3.0 to 3.x name groups by class; 2.x and some by the layer's own name
    const candidates = [times === 0 ? base : `${base}_${times}`, layer.name]
    const at = candidates.map((name) => `${prefix}${name}/`).find((p) => datasets.some((path) => path.startsWith(p)))
    if (at === undefined) continue
    const own = datasets
      .filter((path) => path.startsWith(`${at}vars/`))
      .toSorted((a, b) => Number(a.split("/").at(-1)) - Number(b.split("/").at(-1)))
    found.set(layer.name, own)
    const below = ["layers/", "_layer_checkpoint_dependencies/"].find((p) => datasets.some((d) => d.startsWith(at + p)))
    if (below !== undefined) groupsOf(layer, at + below, datasets, found)
  }
}

/** A `.keras` file of Keras 3 (and of 2.12 and later). */
export const readZip = (directory: ZipReader.Directory, verify: () => void): ParsedFile.ParsedFile => {
  const member = (name: string): ByteSource.Source => directory.members.get(name)!.content
  const config = JsonFile.parse(member(CONFIG))
  const source = member(WEIGHTS)
  const file = Hdf5File.open(source)
  const datasets = file.entries.flatMap(({ kind, path }) => (kind === "dataset" ? [path] : []))
  const layers = new Map<string, readonly string[]>()
  const tree = layerTree(config)
  const prefix = ["layers/", "_layer_checkpoint_dependencies/"].find((p) => datasets.some((path) => path.startsWith(p)))
  if (tree !== undefined && prefix !== undefined) groupsOf(tree, prefix, datasets, layers)
  const { views, names, problems } = tensors(file, [...layers.values()].flat(), source)
  return {
    format: "keras",
    views,
    scalars: {},
    metadata: {},
    topology: {
      kind: "keras",
      config,
      weights: Object.fromEntries(
        [...layers].map(([layer, paths]) => [layer, paths.flatMap((p) => names.get(p) ?? [])]),
      ),
    } satisfies Topology.KerasModel,
    problems: [...directory.problems, ...problems],
    verify,
  }
}
