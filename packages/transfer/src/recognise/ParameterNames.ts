/** From the paths of a checkpoint to the parameter names of its networks. */

import { type Checkpoint, UniquePaths } from "@adafm/checkpoint"
import { Flat, Layout } from "@adafm/core"
import * as GpGan from "./architectures/GpGan.ts"
import * as KerasDefaults from "./KerasDefaults.ts"
import * as LayerOrder from "./LayerOrder.ts"
import * as RoleWords from "./RoleWords.ts"
import { isIgnored } from "./Shapes.ts"

/** One parameter as a model folder holds it: PyTorch's names, filters OIHW. */
export interface Parameter {
  /** Path in the checkpoint. */
  readonly from: Flat.Path
  readonly shape: readonly number[]
  /** Order of axes that turns the stored array into `shape`; absent where none is needed. */
  readonly permute?: readonly number[]
}

export interface Network {
  readonly kind: RoleWords.Kind
  /** Keys in front of the parameters' names, joined with `/`; empty for a bare state dict. */
  readonly root: string
  readonly parameters: Flat.Flat<Parameter>
}

/** Words that wrappers put in front of every name: DataParallel, torch.compile, fully sharded training. */
const wrappers = ["module.", "_orig_mod.", "_fsdp_wrapped_module."]

const unwrapped = <A>(parameters: Flat.Flat<A>): Flat.Flat<A> => {
  const paths = Object.keys(parameters).filter((path) => !isIgnored(path))
  const wrapper = wrappers.find((w) => paths.length > 0 && paths.every((path) => path.startsWith(w)))
  const bare = (path: Flat.Path): Flat.Path => (path.startsWith(wrapper!) ? path.slice(wrapper!.length) : path)
  return wrapper === undefined
    ? parameters
    : unwrapped(Flat.fromEntries(Object.entries(parameters).map(([path, p]) => [bare(path), p])))
}

/** Keras' names for PyTorch's; its kernels are HWIO and `[in, out]`. */
const keras: ReadonlyMap<string, string> = new Map([
  ["kernel", "weight"],
  ["embeddings", "weight"],
  ["gamma", "weight"],
  ["beta", "bias"],
  ["moving_mean", "running_mean"],
  ["moving_variance", "running_var"],
])

const fromKeras = (entry: Checkpoint.Entry): { readonly root: string; readonly name: string } & Parameter => {
  const parts = entry.path.replace(/:\d+$/, "").split("/")
  const last = parts.at(-1)!
  const root = ["other", "ema"].includes(RoleWords.of(parts[0]!)) ? "" : parts[0]!
  const name = [...parts.slice(root === "" ? 0 : 1, -1), keras.get(last) ?? last].join(".")
  const order = last !== "kernel" ? undefined : entry.shape.length === 4 ? Layout.axes.filters.toFile : [1, 0]
  const shape = order === undefined ? entry.shape : order.map((axis) => entry.shape[axis]!)
  return { root, name, from: entry.path, shape, ...(order !== undefined && { permute: order }) }
}

const fromTorch = ({ path, shape }: Checkpoint.Entry): { readonly root: string; readonly name: string } & Parameter => {
  const slash = path.lastIndexOf("/")
  return { root: slash < 0 ? "" : path.slice(0, slash), name: path.slice(slash + 1), from: path, shape }
}

/**
 * ONNX initializers that are constants of the graph (shapes, scales, slopes). Parameters have a dot in the name or at least two
 * axes. Filters that an exporter merged with a batch norm (`onnx::Conv_12`) have four axes, so they stay and fit no architecture.
 */
const isConstant = ({ path, shape }: Checkpoint.Entry): boolean =>
  shape.length < 2 && !path.includes(".") && path !== "weight" && path !== "bias"

const headOf = (path: Flat.Path): string => path.split(".")[0]!

/** The parameters whose names begin with a word, without it. */
const under = (network: Network, head: string): Network => ({
  kind: RoleWords.of(network.root === "" ? head : `${network.root}/${head}`),
  root: network.root === "" ? head : `${network.root}/${head}`,
  parameters: unwrapped(
    Flat.fromEntries(
      Object.entries(network.parameters)
        .filter(([path]) => headOf(path) === head)
        .map(([path, p]) => [path.slice(head.length + 1), p]),
    ),
  ),
})

/**
 * Splits the state dict of a module that contains several networks: `generator.main.0.weight`, `discriminator.…`,
 * `ema_generator.…`. In a generator alone such a word is part of the names (`gen.0.weight`), unless the names after it are those
 * of the GP-GAN family.
 */
const split = (network: Network): readonly Network[] => {
  if (network.kind !== "other" && network.kind !== "ema") return [network]
  const heads = [...new Set(Object.keys(network.parameters).map(headOf))]
  const isLoose = (head: string): boolean =>
    !Object.keys(network.parameters).some((path) => path.startsWith(`${head}.`) && !isIgnored(path))
  const named = heads.filter((head) => !isLoose(head) && !["other", "ema"].includes(RoleWords.of(head)))
  const kinds = new Set(named.map(RoleWords.of))
  // ema-pytorch: the network under `online_model`, its average under `ema_model`
  if (heads.includes("online_model") && heads.includes("ema_model"))
    return heads.filter((head) => !isLoose(head)).map((head) => under(network, head))
  if (kinds.has("discriminator") && (kinds.has("generator") || kinds.has("generator_ema")))
    return heads.map((head) => under(network, head))
  if (!heads.every((head) => named.includes(head) || isLoose(head))) return [network]
  const [only] = named
  if (named.length > 1) return heads.map((head) => under(network, head))
  if (only === undefined) return [network]
  const inner = under(network, only)
  return GpGan.looksLike(shapes(inner)) ? [inner] : [{ ...network, kind: inner.kind }]
}

const inOrder = ({
  isSorted,
  tensors,
}: Pick<Checkpoint.Checkpoint, "isSorted" | "tensors">): readonly Checkpoint.Entry[] => {
  const entries = Object.values(tensors)
  return isSorted ? LayerOrder.sort(entries) : entries
}

/** What TensorFlow saves besides a network: state of its optimizers, counters, metrics. */
const BESIDES =
  /\/\.OPTIMIZER_SLOT\/|(^|\/)\w*optimi[sz]er\w*\/|(^|\/)(save_counter|global_step|beta\d_power(_\d)?)$|(^|\/)keras_api\/|\/(Adam|RMSProp|Momentum|Adagrad)(_\d+)?$/

/** The networks of a checkpoint, in the file's order or, where the format keeps none, in the order of the numbers in the names. */
export const networks = (
  checkpoint: Pick<Checkpoint.Checkpoint, "format" | "tensors" | "isSorted">,
): readonly Network[] => {
  const read = KerasDefaults.isKeras(checkpoint) ? fromKeras : fromTorch
  const roots = new Map<string, Record<Flat.Path, Parameter>>()
  for (const entry of inOrder(checkpoint)) {
    if (checkpoint.format === "onnx" && isConstant(entry)) continue
    if (checkpoint.format === "tf-checkpoint" && BESIDES.test(entry.path)) continue
    const { root, name, ...parameter } = read(entry)
    const parameters = roots.get(root) ?? Flat.empty<Parameter>()
    UniquePaths.add(parameters, name, parameter)
    roots.set(root, parameters)
  }
  return [...roots].flatMap(([root, parameters]) =>
    split({ kind: RoleWords.of(root), root, parameters: unwrapped(parameters) }),
  )
}

export const shapes = ({ parameters }: Pick<Network, "parameters">): Flat.Flat<readonly number[]> =>
  Flat.map(parameters, ({ shape }) => shape)
