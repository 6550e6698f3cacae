/** Whether two networks can be trained together, found without computing anything: one iteration is traced with their shapes. */
import { Failure, NdArray } from "@adafm/core"
import * as Trace from "@adafm/engine/trace/Trace"
import { State, Step, TrainingLoop } from "@adafm/gan"

/** Throws `BadNetworks` where a layer does not fit what it receives. @param file the model that the networks are from */
export const check = async (setup: Step.Setup, networks: State.Networks, file: string): Promise<void> => {
  const { gan, batchSize } = setup
  const x = NdArray.zeros("float32", [batchSize, ...gan.image])
  const y = NdArray.zeros("int32", [batchSize])
  const state = State.initial(setup, networks)
  const batch = await TrainingLoop.batchAt({ setup, seed: 0, batches: async () => ({ x, y }) }, 0)
  try {
    Trace.step(Step.make(setup, 0), State.specs(state, batch))
  } catch (thrown) {
    if (thrown instanceof Failure.Raised) throw thrown
    const [height, width, channels] = gan.image
    Failure.raise(
      "BadNetworks",
      `the two networks do not fit together, or not images of ${channels} × ${height} × ${width}: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      { file },
    )
  }
}
