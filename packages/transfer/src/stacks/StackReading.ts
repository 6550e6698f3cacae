/**
 * One network of plain layers as something has read it: a graph, a person's list of layers, or names and shapes. What the reading
 * had to assume stands next to it, as sentences.
 */
import { Failure, type Flat } from "@adafm/core"
import { Dcgan, Stack, StackShape } from "@adafm/gan"
import type * as Recognise from "../recognise/Recognise.ts"

export interface StackReading {
  readonly layers: readonly Stack.Layer[]
  readonly input: StackShape.Shape
  readonly output: StackShape.Shape
  /** By the names of `Stack.spec(layers)`. */
  readonly parameters: Flat.Flat<Recognise.Parameter>
  readonly assumptions: readonly string[]
  /** How to turn what this stack makes into what the file makes, by `scale · y + shift`, or by a sigmoid. */
  readonly ending?: Ending
}

export type Ending =
  | { readonly kind: "affine"; readonly scale: number; readonly shift: number }
  | { readonly kind: "sigmoid" }

export type Image = readonly [channels: number, height: number, width: number]

/** The interval of a stack's output; undefined where its end has no bounds. */
const rangeOf = (layers: readonly Stack.Layer[]): readonly [number, number] | undefined => {
  let range: readonly [number, number] | undefined
  for (const layer of layers)
    if (layer.kind === "tanh") range = [-1, 1]
    else if (layer.kind === "sigmoid") range = [0, 1]
    else if (layer.kind === "clip") range = [layer.min, layer.max]
    else if (layer.kind === "affine" && range !== undefined) {
      const ends = range.map((v) => v * layer.scale + layer.shift)
      range = [Math.min(...ends), Math.max(...ends)]
    } else if (!["crop", "view", "flatten", "upsample2", "upsample", "avgPool2"].includes(layer.kind)) range = undefined
  return range
}

const round = (n: number): number => Number(n.toPrecision(6))

/** Images of any known range as images in [-1, 1]. */
const normalised = (layers: readonly Stack.Layer[]): Pick<StackReading, "layers" | "assumptions" | "ending"> => {
  const range = rangeOf(layers)
  if (range === undefined || !range.every((v) => Math.abs(v) < 1e30))
    return { layers, assumptions: ["the generator's end has no bounds: its images are taken as [-1, 1]"] }
  const [low, high] = range.map(round) as [number, number]
  if (low === -1 && high === 1) return { layers, assumptions: [] }
  if (!(high > low)) return Failure.raise("UnsupportedGraph", `the generator's pixels all are ${low}`)
  const scale = 2 / (high - low)
  const affine: Stack.Layer = { kind: "affine", scale, shift: -1 - low * scale }
  return {
    layers: [...layers, affine],
    assumptions: [`the generator makes pixels from ${low} to ${high}: they are moved to [-1, 1]`],
    ending: { kind: "affine", scale: 1 / scale, shift: low + 1 / scale },
  }
}

const square = (n: number): number | undefined => (Number.isInteger(Math.sqrt(n)) ? Math.sqrt(n) : undefined)

/** Height and width, in pixels, below which nothing is an image. */
const SMALLEST = 4

const imageOf = (numbers: number, taken: Image | undefined): Image | undefined => {
  if (taken !== undefined && taken.reduce((n, d) => n * d, 1) === numbers) return taken
  for (const channels of [1, 3, 4]) {
    const side = square(numbers / channels)
    if (side !== undefined && side >= SMALLEST) return [channels, side, side]
  }
  return undefined
}

export const isImage = (shape: StackShape.Shape): shape is Image =>
  shape.length === 3 && shape[0] <= 4 && shape[1] >= SMALLEST && shape[2] >= SMALLEST

/** Which network a reading is; undefined where its input and output show neither. */
export const roleOf = ({ input, output }: StackReading): Recognise.Role | undefined => {
  const numbers = output.reduce((n, d) => n * d, 1)
  if (isImage(input)) return isImage(output) && output[1] >= input[1] ? undefined : "discriminator"
  if (isImage(output)) return "generator"
  if (input.length === 1 && output.length === 1)
    return numbers === 1 ? "discriminator" : imageOf(numbers, undefined) === undefined ? undefined : "generator"
  return undefined
}

/** @param taken the image that a discriminator reads, where one is given */
export const asGenerator = (reading: StackReading, taken?: Image): StackReading & { readonly image: Image } => {
  const { input, output } = reading
  const latent = input.reduce((n, d) => n * d, 1)
  const begin: readonly Stack.Layer[] = input.length === 3 ? [{ kind: "view", shape: [...input] }] : []
  if (input.length === 3 && (input[1] > 1 || input[2] > 1))
    return Failure.raise("UnsupportedGraph", `it makes images of images ([${input.join(", ")}]), not of a vector z`)
  const image = output.length === 3 ? output : imageOf(output[0], taken)
  if (image === undefined || !isImage(image))
    return Failure.raise(
      "UnsupportedGraph",
      `its output [${output.join(", ")}] is no image of 1 to 4 channels and at least ${SMALLEST} px: it is no generator`,
    )
  const viewed: readonly Stack.Layer[] =
    output.length === 3 ? reading.layers : [...reading.layers, { kind: "view", shape: [...image] }]
  const { layers, assumptions, ending } = normalised(viewed)
  const shapes =
    output.length === 3 ? [] : [`the generator's ${output[0]} numbers are an image of ${image.join(" × ")}`]
  return {
    ...reading,
    layers: [...begin, ...layers],
    input: [latent],
    output: image,
    image,
    assumptions: [...reading.assumptions, ...shapes, ...assumptions],
    ...(ending !== undefined && { ending }),
  }
}

/**
 * @param image what the generator makes
 * @param ending of the generator: a discriminator of images in [0, 1] gets such
 */
export const asDiscriminator = (reading: StackReading, image: Image, ending: Ending | undefined): StackReading => {
  const { input, output, layers } = reading
  const numbers = image.reduce((n, d) => n * d, 1)
  const flat: readonly Stack.Layer[] = input.length === 1 ? [{ kind: "flatten" }] : []
  const fits = input.length === 1 ? input[0] === numbers : input.join() === image.join()
  if (!fits)
    return Failure.raise(
      "UnsupportedGraph",
      `the discriminator reads [${input.join(", ")}], but the generator's images are [${image.join(", ")}]`,
    )
  const moved: readonly Stack.Layer[] =
    ending?.kind === "affine" ? [{ kind: "affine", scale: ending.scale, shift: ending.shift }] : []
  const last = layers.at(-1)
  const isSigmoid = last?.kind === "sigmoid"
  const own = isSigmoid ? layers.slice(0, -1) : layers
  const patches = output.length === 3 && output[0] === 1 && output[1] * output[2] > 1
  if (!patches && output.reduce((n, d) => n * d, 1) !== 1)
    return Failure.raise(
      "UnsupportedGraph",
      `the discriminator has ${output.reduce((n, d) => n * d, 1)} outputs, one is needed: choose it, or start with a new discriminator (transfer --fresh-d)`,
    )
  return {
    ...reading,
    layers: [...moved, ...flat, ...own, ...(patches ? [{ kind: "globalAverage" } as const] : [])],
    assumptions: [
      ...reading.assumptions,
      ...(isSigmoid ? ["the sigmoid at the discriminator's end is left out: training uses the logit before it"] : []),
      ...(moved.length > 0 ? ["the discriminator gets images in the generator's own range"] : []),
      ...(patches ? [`the discriminator judges ${output[1]} × ${output[2]} patches: their mean is the logit`] : []),
    ],
    ...(isSigmoid && { ending: { kind: "sigmoid" as const } }),
  }
}

export interface Pair {
  readonly config: Dcgan.Config
  readonly generator: StackReading
  readonly discriminator?: StackReading
  readonly assumptions: readonly string[]
}

/** Paths of the discriminator are apart from the generator's, because they are another network. */
export const pair = (G: StackReading, D: StackReading | undefined, distribution: "normal" | "uniform"): Pair => {
  const taken = D !== undefined && isImage(D.input) ? D.input : undefined
  const generator = asGenerator(G, taken)
  const discriminator = D && asDiscriminator(D, generator.image, generator.ending)
  const config = Dcgan.Config.parse({
    architecture: "dcgan",
    image: [...generator.image],
    latent: { dim: generator.input[0], distribution },
    generator: generator.layers,
    discriminator: discriminator?.layers ?? Dcgan.discriminatorFor([...generator.image]),
  })
  const found = StackShape.of(config.generator, [config.latent.dim])
  if ("misfit" in found) return Failure.raise("UnsupportedGraph", found.misfit.message)
  const labels = Math.max(Stack.labels(config.generator), Stack.labels(config.discriminator))
  return {
    config,
    generator,
    ...(discriminator !== undefined && { discriminator }),
    assumptions: [
      ...generator.assumptions,
      ...(discriminator?.assumptions ?? []),
      `z has ${config.latent.dim} numbers, drawn from a ${distribution} distribution`,
      ...(labels > 1 ? [`the network reads one of ${labels} classes`] : []),
    ],
  }
}
