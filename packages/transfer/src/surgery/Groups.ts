/**
 * Groups of layers, counted from the image: the unit in which GmDn keeps low-level layers. Group 1 is the convolution that makes
 * (or sees) the pixels. The head (fully connected layers and the embedding; in a plain stack the layer farthest from the image)
 * belongs to no group.
 */
import type { Flat } from "@adafm/core"
import { FastDiscriminator, FastGan, type Gan, GpGan, ResnetGan, type SmallHead, Stack, type Step } from "@adafm/gan"

export interface Group {
  readonly name: string
  /** Patterns of `Plan` that cover its parameters. */
  readonly patterns: readonly string[]
  /** Filters that AdaFM modulates when the group is frozen. */
  readonly filters: readonly Flat.Path[]
  /** Patterns of its batch norms. */
  readonly norms: readonly string[]
}

export interface Partition {
  /** From the image. */
  readonly groups: readonly Group[]
  /** Patterns of what no m or n reaches. */
  readonly head: readonly string[]
}

/** The residual blocks of one resolution. */
const resnet = (index: number, blocks: readonly number[]): Group => ({
  name: `resnet_${index}`,
  patterns: [`resnet_${index}_*`],
  filters: blocks.flatMap((block) => [0, 1].map((conv) => `resnet_${index}_${block}.conv_${conv}.weight`)),
  norms: [],
})

const image: Group = { name: "conv_img", patterns: ["conv_img.*"], filters: [], norms: [] }

const residual = (blocks: readonly Group[], net: Step.Net): Partition =>
  net === "generator"
    ? { groups: [image, ...blocks.toReversed()], head: ["embedding.*", "fc.*"] }
    : { groups: [image, ...blocks], head: ["fc.*"] }

const gpgan = (config: Pick<GpGan.Config, "resolution">, net: Step.Net): Partition =>
  residual(
    Array.from({ length: GpGan.stages(config) + 1 }, (_, i) => resnet(i, [0, 1])),
    net,
  )

const resnetGan = ({ architecture }: ResnetGan.Config, net: Step.Net): Partition =>
  residual(
    ResnetGan.blocks[architecture][net].map((_, i) => resnet(i, [0])),
    net,
  )

/** The groups above the head are GP-GAN's; the small head is new in every transfer. */
const smallHead = (config: SmallHead.Config): Partition => ({
  groups: gpgan(config, "generator").groups.slice(0, GpGan.stages(config) - config.head_blocks + 1),
  head: ["small_*"],
})

const isFilter = ({ kind }: Stack.Layer): boolean => kind === "conv" || kind === "convTranspose"
const isWeighted = (layer: Stack.Layer): boolean => isFilter(layer) || layer.kind === "linear"

/** Layers that belong together, as one group; undefined where none has parameters. */
const groupOf = (layers: Stack.Stack): Group | undefined => {
  const own = [...Stack.walk(layers)].flatMap((layer) =>
    Object.keys(Stack.spec([layer])).length > 0 && "path" in layer ? [layer] : [],
  )
  const [first] = own
  return first === undefined
    ? undefined
    : {
        name: first.path,
        patterns: own.map(({ path }) => `${path}.*`),
        filters: own.filter(isFilter).map(({ path }) => `${path}.weight`),
        norms: own.filter(({ kind }) => kind === "batchNorm").map(({ path }) => `${path}.*`),
      }
}

const merge = (a: Group, b: Group): Group => ({
  name: a.name,
  patterns: [...a.patterns, ...b.patterns],
  filters: [...a.filters, ...b.filters],
  norms: [...a.norms, ...b.norms],
})

/**
 * Each layer with weights, together with the normalisations after it. The branches of a residual block belong together; the
 * layers of a label belong to the layer that reads them.
 */
const modules = (stack: Stack.Stack): readonly Group[] => {
  const groups: Group[] = []
  let labels: Group | undefined
  for (const layer of stack) {
    const found = groupOf([layer])
    if (found === undefined) continue
    const own = labels === undefined ? found : merge(labels, found)
    labels = layer.kind === "label" ? own : undefined
    const last = groups.at(-1)
    if (labels !== undefined) continue
    if (isWeighted(layer) || "branches" in layer || last === undefined) groups.push(own)
    else groups[groups.length - 1] = merge(last, own)
  }
  return labels === undefined ? groups : [...groups, labels]
}

/** The output's filters, then the blocks of each resolution with the excitation of their features. */
const fastGenerator = (config: FastGan.Config): Partition => {
  const block = (pixels: number): Group => {
    const [name, excited] = [`feat_${pixels}`, FastGan.excitedBy(pixels) !== undefined]
    const [convolutions, norms] = FastGan.isDouble(pixels)
      ? [
          [1, 5],
          [3, 7],
        ]
      : [[1], [2]]
    return {
      name,
      patterns: [`${name}.*`, ...(excited ? [`se_${pixels}.*`] : [])],
      filters: convolutions!.map((k) => `${name}.${k}.weight`),
      norms: norms!.map((k) => `${name}.${k}.*`),
    }
  }
  const output: Group = { name: "to_big", patterns: ["to_big.*"], filters: [], norms: [] }
  return { groups: [output, ...FastGan.sizes(config).toReversed().map(block)], head: ["init.*"] }
}

/**
 * The convolution that sees the pixels, with that of the small part, then the blocks of each resolution with the excitation of their
 * features. The rest of the small part and the decoders belong to the head.
 */
const fastDiscriminator = (config: FastGan.Config): Partition => {
  const input: Group = {
    name: "down_from_big",
    patterns: ["down_from_big.*", "down_from_small.0.*"],
    filters: [],
    norms: [],
  }
  const block = ({ name, excitation }: FastDiscriminator.Block): Group => ({
    name,
    patterns: [`${name}.*`, ...(excitation === undefined ? [] : [`${excitation.name}.*`])],
    filters: ["main.0", "main.3", "direct.1"].map((layer) => `${name}.${layer}.weight`),
    norms: ["main.1", "main.4", "direct.2"].map((layer) => `${name}.${layer}.*`),
  })
  return {
    groups: [input, ...FastDiscriminator.blocks(config).map(block)],
    head: ["rf_big.*", "rf_small.*", "down_from_small.*", "decoder_*"],
  }
}

const stack = (layers: Stack.Stack, net: Step.Net): Partition => {
  const fromImage = net === "generator" ? modules(layers).toReversed() : modules(layers)
  return { groups: fromImage.slice(0, -1), head: fromImage.at(-1)?.patterns ?? [] }
}

export const of = (config: Gan.Config, net: Step.Net): Partition => {
  switch (config.architecture) {
    case "gpgan":
      return gpgan(config, net)
    case "gpgan-small-head":
      return net === "generator" ? smallHead(config) : gpgan(config, net)
    case "resnet3":
    case "resnet4":
      return resnetGan(config, net)
    case "dcgan":
      return stack(config[net], net)
    case "fastgan":
      return net === "generator" ? fastGenerator(config) : fastDiscriminator(config)
    case "mined": {
      const { groups, head } = of(config.source, net)
      return { groups, head: net === "generator" ? [...head, "miner.*"] : head }
    }
  }
}
