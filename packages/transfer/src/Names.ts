/** From the paths of a checkpoint to the parameter names of its networks: one table per kind of source. */
import { Flat } from "@adafm/core"
import type * as Checkpoint from "./Checkpoint.ts"
import * as Contents from "./Contents.ts"

export type Kind = "generator" | "generator_ema" | "discriminator" | "other"

/** One parameter as our files hold it: torch's names, OIHW. */
export interface Parameter {
  /** Path in the checkpoint. */
  readonly from: Flat.Path
  readonly shape: readonly number[]
  /** Order of axes that turns the stored array into `shape`; absent where it is that already. */
  readonly permute?: readonly number[]
}

export interface Network {
  readonly kind: Kind
  /** Keys in front of the parameters' names, joined with `/`; empty for a bare state dict. */
  readonly root: string
  readonly parameters: Flat.Flat<Parameter>
}

const roles: Readonly<Record<Exclude<Kind, "other">, readonly string[]>> = {
  generator: ["generator", "gen", "g", "netg", "gnet"],
  generator_ema: [
    "generator_test",
    "generator_ema",
    "generator_target",
    "gen_ema",
    "g_ema",
    "g_target",
    "netg_ema",
    "ema",
    "gs",
  ],
  discriminator: ["discriminator", "disc", "dis", "d", "netd", "dnet", "critic"],
}

/** Who a key in front of a state dict is: `models/netG_state_dict` is a generator. */
const kindOf = (root: string): Kind => {
  const name = (root.split("/").at(-1) ?? "").toLowerCase().replace(/[_-]?(state_?dict|model|params|weights)$/, "")
  const found = Object.entries(roles).find(([, names]) => names.includes(name))
  return (found?.[0] as Kind | undefined) ?? "other"
}

/** Wrappers that put a word in front of every name: DataParallel, torch.compile. */
const wrappers = ["module.", "_orig_mod."]

const unwrapped = <A>(parameters: Flat.Flat<A>): Flat.Flat<A> => {
  const paths = Object.keys(parameters)
  const wrapper = wrappers.find((w) => paths.length > 0 && paths.every((path) => path.startsWith(w)))
  return wrapper === undefined
    ? parameters
    : unwrapped(Flat.fromEntries(Object.entries(parameters).map(([path, p]) => [path.slice(wrapper.length), p])))
}

/** Keras' names and layouts: HWIO and `[in, out]` kernels. */
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
  const root = kindOf(parts[0]!) === "other" ? "" : parts[0]!
  const name = [...parts.slice(root === "" ? 0 : 1, -1), keras.get(last) ?? last].join(".")
  const order = last !== "kernel" ? undefined : entry.shape.length === 4 ? [3, 2, 0, 1] : [1, 0]
  const shape = order === undefined ? entry.shape : order.map((axis) => entry.shape[axis]!)
  return { root, name, from: entry.path, shape, ...(order !== undefined && { permute: order }) }
}

const fromTorch = ({ path, shape }: Checkpoint.Entry): { readonly root: string; readonly name: string } & Parameter => {
  const slash = path.lastIndexOf("/")
  return { root: slash < 0 ? "" : path.slice(0, slash), name: path.slice(slash + 1), from: path, shape }
}

/** A state dict of a module with both networks inside: `generator.main.0.weight`, `discriminator.…`. */
const split = (network: Network): readonly Network[] => {
  const paths = Object.keys(network.parameters)
  const heads = new Set(paths.map((path) => path.split(".")[0]!))
  const kinds = new Set([...heads].map(kindOf))
  if (network.kind !== "other" || !kinds.has("generator") || !kinds.has("discriminator")) return [network]
  return [...heads].map((head) => ({
    kind: kindOf(head),
    root: network.root === "" ? head : `${network.root}/${head}`,
    parameters: unwrapped(
      Flat.fromEntries(
        Object.entries(network.parameters)
          .filter(([path]) => path.split(".")[0] === head)
          .map(([path, p]) => [path.slice(head.length + 1), p]),
      ),
    ),
  }))
}

/** The networks of a checkpoint, in the file's order. */
export const networks = (checkpoint: Pick<Checkpoint.Checkpoint, "format" | "tensors">): readonly Network[] => {
  const read = checkpoint.format === "tfjs" ? fromKeras : fromTorch
  const roots = new Map<string, Record<Flat.Path, Parameter>>()
  for (const entry of Object.values(checkpoint.tensors)) {
    const { root, name, ...parameter } = read(entry)
    const parameters = roots.get(root) ?? Flat.empty<Parameter>()
    Contents.put(parameters, name, parameter)
    roots.set(root, parameters)
  }
  return [...roots].flatMap(([root, parameters]) =>
    split({ kind: kindOf(root), root, parameters: unwrapped(parameters) }),
  )
}

export const shapes = ({ parameters }: Pick<Network, "parameters">): Flat.Flat<readonly number[]> =>
  Flat.map(parameters, ({ shape }) => shape)
