/** Which parameters train when the groups nearest to the image are kept, and AdaFM's filters where the paper has them. */
import { Modulate } from "@adafm/adafm"
import type { Flat } from "@adafm/core"
import type { Gan, Step } from "@adafm/gan"
import { Groups, Plan } from "@adafm/transfer"

/** All but the first groups, counted from the image; with any of the generator frozen its embedding is too. */
export const trained = (gan: Gan.Gan, net: Step.Net, frozen: number): readonly Flat.Path[] => {
  const patterns = Groups.of(gan.config, net)
    .groups.slice(0, frozen)
    .flatMap((group) => group.patterns)
  const kept = [...patterns, ...(net === "generator" && frozen > 0 ? ["embedding.*"] : [])].map(Plan.pattern)
  return Object.entries(gan[net]).flatMap(([path, { role }]) =>
    role === "parameter" && !kept.some((pattern) => pattern.test(path)) ? [path] : [],
  )
}

/** What trains, group by group, and the modulation. */
export type Trainable = Pick<Step.Setup, "trainable" | "modulation">

/** m groups of G and n of D are frozen. */
export const plain = (gan: Gan.Gan, m: number, n: number): Trainable => ({
  trainable: {
    generator: [{ name: "base", paths: trained(gan, "generator", m), from: 0 }],
    discriminator: [{ name: "base", paths: trained(gan, "discriminator", n), from: 0 }],
  },
})

/** All groups above a small head are frozen and modulated from step `from` on; n groups of D are frozen. */
export const modulated = (
  gan: Gan.Gan,
  n: number,
  from: number,
  config: Modulate.Config = { kind: "adafm" },
): Trainable => {
  const { groups } = Groups.of(gan.config, "generator")
  const generator = Modulate.make(
    config,
    gan.generator,
    groups.flatMap(({ filters }) => filters),
  )
  const { trainable } = plain(gan, groups.length, n)
  return {
    modulation: { generator },
    trainable: {
      ...trainable,
      generator: [...trainable.generator, { name: "adafm", paths: Modulate.paths(generator), from }],
    },
  }
}
