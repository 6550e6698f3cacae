/** What a penalty needs of the source: its networks, and which of their parameters are trained. */
import type { Flat } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import type { Gan, State } from "@adafm/gan"

/** Paths of the trained parameters that were copied from the source. */
export type Anchored = Readonly<Record<"generator" | "discriminator", readonly Flat.Path[]>>

/** The start of a run: both networks as copied from the source, in the file's layout. */
export interface Given {
  readonly gan: Gan.Gan
  readonly networks: State.Networks
  readonly engine: Engine.Engine
  readonly seed: number
}
