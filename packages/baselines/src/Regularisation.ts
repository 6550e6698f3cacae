/** Penalties that keep a fine-tuned GAN near its source: the losses they add to a training step, and the source tensors they need. */
import type * as Engine from "@adafm/engine"
import type { Gan, StepExtras } from "@adafm/gan"
import { z } from "zod"
import * as Distillation from "./Distillation.ts"
import * as Ewc from "./Ewc.ts"
import * as L2sp from "./L2sp.ts"
import type { Anchored, Given } from "./SourceNetworks.ts"

export const Config = z.discriminatedUnion("kind", [L2sp.Config, Ewc.Config, Distillation.Config])
export type Config = z.output<typeof Config>

/** The losses. They read the tensors of `constants` from the state. */
export const extras = (config: Config, anchored: Anchored, gan: Gan.Gan): StepExtras.StepExtras => {
  switch (config.kind) {
    case "l2-sp":
      return L2sp.extras(config, anchored)
    case "ewc":
      return Ewc.extras(config)
    case "distillation":
      return Distillation.extras(config, gan)
  }
}

/** Frozen tensors of the state, in compute layout; computed once, before step 0. */
export const constants = async (config: Config, anchored: Anchored, given: Given): Promise<Engine.Arrays> => {
  switch (config.kind) {
    case "l2-sp":
      return L2sp.constants(given.networks, anchored)
    case "ewc":
      return Ewc.constants(config, anchored, given)
    case "distillation":
      return Distillation.constants(given.networks)
  }
}
