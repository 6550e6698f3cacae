/** Published implementations that parameter names identify, with the settings that their checkpoints do not contain. */
import type { Stack } from "@adafm/gan"
import type { z } from "zod"
import type { Shapes } from "./Shapes.ts"

export interface Layout {
  readonly name: string
  readonly where: string
  /** Parameter names that only this implementation has. */
  readonly generator: RegExp
  readonly discriminator: RegExp
  /** Between layers; the default is ReLU (generator) or leaky ReLU 0.2 (discriminator). */
  readonly activation?: z.input<typeof Stack.Layer>
  /** No activation after the first layer (and its batch norm). */
  readonly linearFirst?: true
  readonly latent: "normal" | "uniform"
}

const table: readonly Layout[] = [
  {
    name: "face-generator",
    where: "https://github.com/fletchersarip93/face-generator",
    generator: /^generator_deconv\.\d+\.\d+\./,
    discriminator: /^discriminator\.\d+(\.\d+)?\./,
    activation: { kind: "leakyRelu", slope: 0.2 },
    linearFirst: true,
    latent: "uniform",
  },
  {
    name: "pytorch-dcgan",
    where: "https://github.com/pytorch/examples/tree/main/dcgan",
    generator: /^main\.\d+\./,
    discriminator: /^main\.\d+\./,
    latent: "normal",
  },
]

export const find = (generator: Shapes | undefined, discriminator: Shapes | undefined): Layout | undefined => {
  const all = (shapes: Shapes | undefined, pattern: RegExp): boolean =>
    shapes === undefined || Object.keys(shapes).every((path) => pattern.test(path))
  return generator === undefined && discriminator === undefined
    ? undefined
    : table.find((layout) => all(generator, layout.generator) && all(discriminator, layout.discriminator))
}
