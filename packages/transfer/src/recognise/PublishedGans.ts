/** Published generators that are recognised by the names of their tensors and cannot be trained here, with the reason. */
import type { Flat } from "@adafm/core"

export interface Published {
  readonly name: string
  readonly why: string
}

const styles = "its convolutions are modulated by a style for each image, and no layer here does that"

const table: readonly (readonly [pattern: RegExp, Published])[] = [
  [/(^|[./])synthesis\.b\d+\.(const$|conv\d\.affine\.)/, { name: "StyleGAN2-ADA (PyTorch)", why: styles }],
  [/(^|[./])synthesis\.L\d+_\d+_\d+\./, { name: "StyleGAN3", why: styles }],
  [/(^|[./])(convs\.\d+|conv1)\.conv\.modulation\.weight$/, { name: "StyleGAN2 (rosinality)", why: styles }],
  [/(^|[./])G_synthesis[./]/, { name: "StyleGAN (TensorFlow)", why: styles }],
  [
    /(^|[./])(GAN\.)?(G|GE|D)\.(layers|residual_layers)\.\d+\.(0|1|2|module)\.|(^|[./])GAN\.(G|GE)\.initial_conv\./,
    {
      name: "lightweight-gan",
      why: "its skip excitations, attention and three-headed discriminator are no layers here",
    },
  ],
  [
    /(^|[./])(generator\.)?blocks\.\d+\.\d+\.(bn\d\.(gain|bias)|bn1\.gain)\.weight/,
    { name: "BigGAN", why: "its batch norms are conditioned on the class, and it has attention" },
  ],
  [
    /(^|[./])(layers\.\d+\.)?(query_conv|key_conv|value_conv|theta|phi|attn\d?\.(query|key))\./,
    { name: "a GAN with self-attention", why: "attention is no layer here" },
  ],
]

/** @param paths of one network's or a whole file's tensors */
export const find = (paths: readonly Flat.Path[]): Published | undefined =>
  table.find(([pattern]) => paths.some((path) => pattern.test(path)))?.[1]

export const explain = ({ name, why }: Published): string =>
  `these are the names of ${name}, which is not trainable here: ${why}`
