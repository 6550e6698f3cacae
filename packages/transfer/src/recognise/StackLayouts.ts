/** Published implementations that parameter names identify, with the settings that their checkpoints do not contain. */
import type { Stack } from "@adafm/gan"
import type { z } from "zod"
import type { Role, Shapes } from "./Shapes.ts"

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
  /** The kernels of all convolutions in order, or the one that all have. */
  readonly kernels?: Readonly<Record<Role, readonly number[]>>
  /** Strides of the convolutions in order, without padding; by default they follow from the kernels. */
  readonly strides?: Readonly<Record<Role, readonly number[]>>
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
    kernels: { generator: [4], discriminator: [4] },
  },
  {
    name: "gan-specialization",
    where: "https://www.coursera.org/specializations/generative-adversarial-networks-gans (DCGAN and WGAN-GP on MNIST)",
    generator: /^(gen|model)\.\d+(\.block)?(\.\d+)?\./,
    discriminator: /^(disc|crit|critic|model)\.\d+(\.block)?(\.\d+)?\./,
    latent: "normal",
    kernels: { generator: [3, 4, 3, 4], discriminator: [4, 4, 4] },
    strides: { generator: [2, 1, 2, 2], discriminator: [2, 2, 2] },
  },
]

export const find = (generator: Shapes | undefined, discriminator: Shapes | undefined): Layout | undefined => {
  const fits = (shapes: Shapes | undefined, role: Role, layout: Layout): boolean => {
    if (shapes === undefined) return true
    const own = Object.values(shapes).flatMap((shape) => (shape.length === 4 ? [shape[2]!] : []))
    const wanted = layout.kernels?.[role]
    const sameKernels =
      wanted === undefined || (wanted.length === 1 ? own.every((k) => k === wanted[0]) : own.join() === wanted.join())
    return sameKernels && Object.keys(shapes).every((path) => layout[role].test(path))
  }
  return generator === undefined && discriminator === undefined
    ? undefined
    : table.find((layout) => fits(generator, "generator", layout) && fits(discriminator, "discriminator", layout))
}
