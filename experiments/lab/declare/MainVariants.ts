/** The variants of the main comparison, each of which adds one part of the paper's method. Experiments that name one share its cells. */
import type * as Experiment from "./Experiment.ts"

export type Variant = Experiment.Input["variants"][number]

const low = { generator: { keep: "middle" }, discriminator: { keep: "middle" } } as const

export const scratch: Variant = {
  id: "scratch",
  title: "from scratch",
  surgery: { generator: { rest: "fresh" }, discriminator: { rest: "fresh" } },
}

export const finetune: Variant = { id: "finetune", title: "fine-tuned, nothing frozen (TransferGAN)" }

/** G3D2 at 32 px, G4D2 at 128. */
export const frozen: Variant = { id: "frozen", title: "low groups frozen (G3D2; G4D2 at 128 px)", surgery: low }

export const small: Variant = {
  id: "small",
  title: "low groups frozen, small head",
  surgery: { ...low, head: "small" },
}

export const adafm: Variant = {
  id: "adafm",
  title: "low groups frozen, small head, AdaFM (ours)",
  surgery: { ...low, generator: { keep: "middle", moves: "modulated" }, head: "small" },
}

export const all: readonly Variant[] = [scratch, finetune, frozen, small, adafm]

export const scratchSmall: Variant = {
  id: "scratch-small",
  title: "from scratch, small head",
  surgery: { ...scratch.surgery, head: "small" },
}

/** The variant with the layers that the authors' loader initialises anew: fc and embedding of G, fc of D. */
export const authorsTop = (variant: Variant): Variant => ({
  ...variant,
  id: `${variant.id}-authors-top`,
  title: `${variant.title}, first and last layers new (the authors' loader)`,
  surgery: {
    ...variant.surgery,
    generator: { ...variant.surgery?.generator, top: "fresh" },
    discriminator: { ...variant.surgery?.discriminator, top: "fresh" },
  },
})

/** The variant with this norm in its small head. A variant that names none has the authors' norm as the first version calibrated it. */
export const headNorm = (norm: "authors" | "measured", variant: Variant): Variant => ({
  ...variant,
  id: `${variant.id}-${norm}-norm`,
  title: `${variant.title}, ${norm === "authors" ? "the authors' norm" : "measured norm"}`,
  surgery: { ...variant.surgery, headNorm: norm },
})

/** The variant without augmentation, as in the paper. */
export const plain = (variant: Variant): Variant => ({
  ...variant,
  id: `${variant.id}-plain`,
  title: `${variant.title}, no augmentation`,
  schedule: { ...variant.schedule, augment: [] },
})
