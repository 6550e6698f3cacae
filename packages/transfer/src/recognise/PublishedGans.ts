/** Published generators that are recognised by the names of their tensors and cannot be trained here, with the reason. */
import type { Flat } from "@adafm/core"

export interface Published {
  readonly name: string
  readonly why: string
}

const styles = "its convolutions are modulated by a style for each image, and no layer here does that"

export const table: readonly (readonly [pattern: RegExp, Published])[] = [
  [/(^|[./])synthesis\.b\d+\.(const$|conv\d\.affine\.)/, { name: "StyleGAN2-ADA (PyTorch)", why: styles }],
  [/(^|[./])synthesis\.L\d+_\d+_\d+\./, { name: "StyleGAN3", why: styles }],
  [/(^|[./])(convs\.\d+|conv1)\.conv\.modulation\.weight$/, { name: "StyleGAN2 (rosinality)", why: styles }],
  [/(^|[./])G_synthesis[./]/, { name: "StyleGAN (TensorFlow)", why: styles }],
  [/(^|[./])progression\.\d+\.adain\d\.style\./, { name: "StyleGAN (rosinality)", why: styles }],
  [
    /(^|[./])(scaleLayers\.\d+\.\d+|toRGBLayers\.\d+)\.module\.(weight|bias)$/,
    {
      name: "a progressive GAN (pytorch_GAN_zoo)",
      why: "its weights are scaled each time they are used (equalised learning rate), which no layer here does",
    },
  ],
  [
    /(^|[./])residual_layers\.\d+\.\d+\.branches\.|(^|[./])to_shape_disc_out\./,
    {
      name: "lightweight-gan",
      why: "its discriminator has attention, and its generator blurs, gates and excites its feature maps, which no layer here does",
    },
  ],
  [
    /(^|[./])(generator\.)?blocks\.\d+\.\d+\.(bn\d\.(gain|bias)|bn1\.gain)\.weight/,
    { name: "BigGAN", why: "its batch norms are conditioned on the class, and it has attention" },
  ],
  [
    /(^|[./])layers\.\d+\.bn_\d\.(scale|offset)\./,
    { name: "BigGAN (Hugging Face)", why: "its batch norms are conditioned on the class, and it has attention" },
  ],
  [
    /(^|[./])(layers\.\d+\.)?(query_conv|key_conv|value_conv|theta|phi|attn\d?\.(query|key))\./,
    { name: "a GAN with self-attention", why: "attention is no layer here" },
  ],
]

/** @param paths of a whole file's tensors, with the keys in front of them */
export const find = (paths: readonly Flat.Path[]): Published | undefined =>
  table.find(([pattern]) => paths.some((path) => pattern.test(path)))?.[1]

export const explain = ({ name, why }: Published): string =>
  `these are the names of ${name}, which is not trainable here: ${why}`
