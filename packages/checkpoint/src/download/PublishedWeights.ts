/**
 * Published weights that `weights fetch` knows. PyTorch's file names end in the first eight digits of the SHA-256. If the
 * publisher never gave the other digits, only eight are pinned, and `Download` records the whole hash of the first download.
 */
import type { Asset } from "./Download.ts"

const GPGAN = "https://s3.eu-central-1.amazonaws.com/avg-projects/gan_stability/models"

const gpgan = (name: string, digits: string, what: string): Asset => ({
  name: `gpgan-${name.replaceAll("_", "-")}`,
  what: `GP-GAN source of Mescheder et al. 2018: ${what}`,
  url: `${GPGAN}/${name}-${digits}.pt`,
  sha256: digits,
  file: `${name}-${digits}.pt`,
  maxBytes: 4e9,
  licence: "MIT (the authors' code; they state none for the weights)",
})

export const all: readonly Asset[] = [
  gpgan("imagenet", "8c505f47", "ImageNet, 128 px, 1000 classes"),
  gpgan("celeba", "ab478c9d", "CelebA, 256 px (resnet4)"),
  gpgan("lsun_bedroom", "df4e7dd2", "LSUN bedrooms, 256 px (resnet3)"),
  gpgan("lsun_bridge", "82887d22", "LSUN bridges, 256 px (resnet3)"),
  gpgan("lsun_church", "b6f0191b", "LSUN churches, 256 px (resnet3)"),
  gpgan("lsun_tower", "1af5e570", "LSUN towers, 256 px (resnet3)"),
  // hashes and sizes as several independent projects record them for these two files
  {
    name: "inception",
    what: "Inception of TensorFlow's FID, as converted by pytorch-fid",
    url: "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    sha256: "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    file: "pt_inception-2015-12-05-6726825d.pth",
    maxBytes: 95_628_359,
    bytes: 95_628_359,
    licence: "Apache-2.0",
  },
  {
    name: "inception-torchvision",
    what: "Inception of torchvision, which the paper's authors scored with",
    url: "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
    sha256: "0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef",
    file: "inception_v3_google-0cc3c7bd.pth",
    maxBytes: 108_949_747,
    bytes: 108_949_747,
    licence: "BSD-3-Clause",
  },
]

export const find = (name: string): Asset | undefined => all.find((asset) => asset.name === name)
