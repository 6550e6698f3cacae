/**
 * The networks of a model whose files hold their graphs, or whose layers a person has written down. A network without either, next
 * to one with, is read by names and shapes.
 */
import type { Checkpoint } from "@adafm/checkpoint"
import { Failure, Flat } from "@adafm/core"
import { type Dcgan, Gan, Stack } from "@adafm/gan"
import * as NamedStack from "../recognise/NamedStack.ts"
import type * as Recognise from "../recognise/Recognise.ts"
import { isIgnored } from "../recognise/Shapes.ts"
import * as GraphNetwork from "./GraphNetwork.ts"
import type * as LayersFile from "./LayersFile.ts"
import * as SaidNetwork from "./SaidNetwork.ts"
import * as StackReading from "./StackReading.ts"

type Role = Recognise.Role

export interface Options {
  readonly files?: readonly string[]
  readonly generator?: string
  readonly discriminator?: string
  readonly z?: "normal" | "uniform"
  /** Which network of a file the layers are of, as for `ChooseNetworks`. */
  readonly generatorAt?: string
  readonly discriminatorAt?: string
  readonly ema?: boolean
  /** What a person says about the layers. */
  readonly layers?: LayersFile.Description
}

/** A network of a file and how it was read. */
interface Found {
  readonly checkpoint: Checkpoint.Checkpoint
  readonly reading: StackReading.StackReading
  readonly root: string
  readonly isAverage?: boolean
  readonly graph?: GraphNetwork.GraphReading
}

export interface Read extends Recognise.Model {
  /** Whether the generator is a moving average, by its keys. */
  readonly isAverage: boolean
  readonly image: StackReading.Image
  /** Of the networks that a graph describes: how to run the file itself. */
  readonly graphs: Partial<
    Record<
      Role,
      {
        readonly checkpoint: Checkpoint.Checkpoint
        readonly names: GraphNetwork.GraphReading["names"]
        readonly ending: StackReading.Ending | undefined
      }
    >
  >
}

const given = ({ files = [], generator, discriminator }: Options): readonly (readonly [string, Role | undefined])[] => [
  ...files.map((file) => [file, undefined] as const),
  ...(generator === undefined ? [] : [[generator, "generator"] as const]),
  ...(discriminator === undefined ? [] : [[discriminator, "discriminator"] as const]),
]

const roleOf = (reading: StackReading.StackReading, file: string): Role =>
  StackReading.roleOf(reading) ??
  Failure.raise(
    "NoNetwork",
    `its graph makes [${reading.output.join(", ")}] of [${reading.input.join(", ")}]: that is neither a generator of images nor a discriminator`,
    { file },
  )

/** @param name of the file that a person's layers or a graph describe, in front of failures */
const named = <A>(file: string, f: () => A): A => {
  try {
    return f()
  } catch (thrown) {
    if (!(thrown instanceof Failure.Raised) || thrown.failure.file !== undefined) throw thrown
    throw new Failure.Raised({ ...thrown.failure, file })
  }
}

const source = ({ checkpoint, root }: Found, reading: StackReading.StackReading): Recognise.Source => ({
  checkpoint,
  root,
  parameters: Flat.map(Stack.spec(reading.layers), (_, path) => reading.parameters[path]!),
})

/** Whether the graph, or a person, decides what these files hold. */
export const decides = (checkpoints: readonly Checkpoint.Checkpoint[], { layers }: Options): boolean =>
  layers !== undefined || checkpoints.some(GraphNetwork.has)

/** @param checkpoints of `files`, then of `generator`, then of `discriminator` */
export const read = (checkpoints: readonly Checkpoint.Checkpoint[], options: Options): Read => {
  const found: Partial<Record<Role, Found>> = {}
  const put = (role: Role, own: Found): void => {
    const other = found[role]
    if (other !== undefined)
      Failure.raise("AmbiguousNetwork", `both ${other.checkpoint.file} and ${own.checkpoint.file} hold a ${role}`, {
        file: own.checkpoint.file,
      })
    found[role] = own
  }
  const rest: (readonly [Checkpoint.Checkpoint, Role | undefined])[] = []
  for (const [k, [, role]] of given(options).entries()) {
    const checkpoint = checkpoints[k]!
    if (GraphNetwork.has(checkpoint)) {
      const graph = GraphNetwork.read(checkpoint)
      put(role ?? roleOf(graph, checkpoint.file), { checkpoint, reading: graph, root: "", graph })
    } else rest.push([checkpoint, role])
  }
  const { layers } = options
  for (const [checkpoint, role] of rest)
    for (const net of ["generator", "discriminator"] as const) {
      if ((role !== undefined && role !== net) || layers?.[net] === undefined || found[net] !== undefined) continue
      const image =
        net === "discriminator" && found.generator !== undefined
          ? StackReading.asGenerator(found.generator.reading).image
          : undefined
      const at = net === "generator" ? options.generatorAt : options.discriminatorAt
      const place = { ...(at !== undefined && { at }), ema: net === "generator" && options.ema === true }
      const said = named(checkpoint.file, () => SaidNetwork.read(checkpoint, net, layers, role === net, image, place))
      if (said !== undefined) put(net, { checkpoint, ...said })
    }
  const said = (["generator", "discriminator"] as const).find(
    (net) => layers?.[net] !== undefined && found[net] === undefined,
  )
  if (said !== undefined)
    return Failure.raise("NoNetwork", `the layers describe a ${said}, but none of the files holds such tensors`)
  for (const [checkpoint, role] of rest) {
    const image = found.generator && StackReading.asGenerator(found.generator.reading).image
    for (const own of NamedStack.read(checkpoint, role, (net) => found[net] === undefined, image))
      if (found[own.role] === undefined) put(own.role, { checkpoint, reading: own.reading, root: own.root })
  }
  const { generator, discriminator } = found
  if (generator === undefined)
    return Failure.raise(
      "NoNetwork",
      "the files hold a discriminator, but no generator: give it with --generator FILE",
      {
        ...(checkpoints[0] !== undefined && { file: checkpoints[0].file }),
      },
    )
  const distribution = options.z ?? layers?.latent ?? "normal"
  const pair = named(generator.checkpoint.file, () =>
    StackReading.pair(generator.reading, discriminator?.reading, distribution),
  )
  const gan = Gan.of(pair.config)
  const graphs: Read["graphs"] = Object.fromEntries(
    (["generator", "discriminator"] as const).flatMap((net) => {
      const own = found[net]
      return own?.graph === undefined
        ? []
        : [[net, { checkpoint: own.checkpoint, names: own.graph.names, ending: pair[net]?.ending }]]
    }),
  )
  return {
    gan,
    layout: null,
    isAverage: generator.isAverage === true,
    generator: source(generator, pair.generator),
    ...(discriminator !== undefined && { discriminator: source(discriminator, pair.discriminator!) }),
    assumptions: pair.assumptions,
    image: pair.config.image as unknown as StackReading.Image,
    graphs,
  }
}

export interface Inspected {
  readonly role: Role
  readonly config: Dcgan.Config | null
  readonly layers: readonly Stack.Layer[]
  readonly assumptions: readonly string[]
}

/** One file by its graph, for `inspect`. */
export const inspect = (checkpoint: Checkpoint.Checkpoint): Inspected => {
  const graph = GraphNetwork.read(checkpoint)
  const role = roleOf(graph, checkpoint.file)
  const { layers } = graph
  if (role === "discriminator") return { role, config: null, layers, assumptions: [] }
  const { config, assumptions } = StackReading.pair(graph, undefined, "normal")
  return { role, config, layers: config.generator, assumptions }
}

/** Tensors of the files that no layer needs, with the file's name in front where there are several files. */
export const unused = (
  checkpoints: readonly Checkpoint.Checkpoint[],
  { generator, discriminator }: Recognise.Model,
): readonly string[] => {
  const used = new Set(
    [generator, ...(discriminator === undefined ? [] : [discriminator])].flatMap(({ checkpoint, parameters }) =>
      Object.values(parameters).map(({ from }) => `${checkpoint.file}\n${from}`),
    ),
  )
  return checkpoints.flatMap(({ file, tensors }) =>
    Object.values(tensors)
      .filter(({ path }) => !used.has(`${file}\n${path}`) && !isIgnored(path))
      .map(({ path }) => (checkpoints.length > 1 ? `${file}:${path}` : path)),
  )
}
