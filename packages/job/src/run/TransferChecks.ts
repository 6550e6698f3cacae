/** What a transfer refuses, or warns of, before it trains. */
import { Failure } from "@adafm/core"
import { type PreparedTarget, Recipe, type Surgery } from "@adafm/transfer"
import type { RunConfig } from "./RunConfig.ts"
import * as StepCheck from "./StepCheck.ts"
import * as Training from "./Training.ts"

export interface Given {
  readonly surgery?: Surgery.Given
  /** Of L2-SP, EWC or distillation in place of the published one. */
  readonly regulariserWeight?: number
  /** Times the learning rate for the modulation's parameters. */
  readonly modulationRate?: number
  /** Flags that were given and need a new small head; the same settings of a preset may be without effect. */
  readonly forHead?: readonly string[]
}

/** What would begin to train only after the run's last step. */
export const tooLate = ({ graft }: PreparedTarget.PreparedTarget, steps: number): readonly string[] =>
  (["generator", "discriminator"] as const).flatMap((net) =>
    graft[net].trainable.flatMap(({ from, paths }) =>
      from < steps
        ? []
        : [
            `${paths.length} tensors of the ${net} (${paths[0]}${paths.length > 1 ? ", …" : ""}) begin to train at step ${from}, which ${steps} steps never reach: see --unfreeze-at, or unfreezeAt in a plan`,
          ],
    ),
  )

export const size = ({ size, source }: { readonly size?: number; readonly source: string }, own: number): void => {
  if (size !== undefined && size !== own)
    Failure.raise("WrongSize", `the source makes images of ${own} px, which a transfer cannot change to ${size}`, {
      file: source,
    })
}

/** Refuses networks that no iteration accepts. What a regulariser adds does not depend on them. */
export const trainable = (
  { regularise: _, ...config }: RunConfig,
  { networks }: Pick<PreparedTarget.PreparedTarget, "networks">,
  source: string,
): Promise<void> => StepCheck.check(Training.setupOf(config), networks, source)

/** Settings that are given and would have no effect are refused. */
export const used = (
  { surgery: { zDim, headGradient } = {}, regulariserWeight, modulationRate = 1, forHead = [] }: Given,
  { recipe, gan, start, graft }: PreparedTarget.PreparedTarget,
): void => {
  const { regularise } = Recipe.training(recipe)
  const isModulated = (["generator", "discriminator"] as const).some((net) => graft[net].modulation !== undefined)
  const noHead = "there is no new small head (see --head)"
  const idle = [
    zDim !== undefined && zDim !== gan.latent.dim && `--z-dim: ${noHead}`,
    headGradient !== undefined && start === undefined && `--head-gradient: ${noHead}`,
    ...forHead.map((flag) => start === undefined && `${flag}: ${noHead}`),
    regulariserWeight !== undefined &&
      regularise === undefined &&
      "--regulariser-weight: the recipe has no regulariser (l2-sp, ewc and distillation have one)",
    modulationRate !== 1 && !isModulated && "--modulation-rate: nothing is modulated",
  ].filter((reason) => reason !== false)
  if (idle.length > 0) Failure.raise("BadRecipe", `with recipe ${recipe} these have no effect: ${idle.join("; ")}`)
}
