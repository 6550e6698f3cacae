import { Layout, Leaf, type NdArray } from "@adafm/core"
import { Engines } from "@adafm/engine"
import { Gan, ModelFolder, SmallHead } from "@adafm/gan"
import { expect, test } from "vitest"
import * as Sampler from "../src/run/Sampler.ts"
import * as Project from "../src/verbs/Project.ts"

test.each(SmallHead.NORMS)(
  "under a small head with the norm `%s` a sample of the model is found: its distance at least halves",
  async (head_norm) => {
    const gan = Gan.of(
      SmallHead.Config.parse({
        architecture: "gpgan-small-head",
        resolution: 16,
        nf: 8,
        nf_max: 8,
        z_dim: 4,
        style_dim: 8,
        head_blocks: 1,
        head_scale: 3,
        head_gradient: 3e-5,
        head_norm,
      }),
    )
    const model = {
      gan,
      generator: Leaf.initAll(gan.generator, 0, "generator"),
      discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
    }
    const engine = await Engines.open({ threads: 1 })
    const sampler = await Sampler.open({ ...model, description: ModelFolder.describe(gan) }, engine, 1)
    const images = await sampler.images(Sampler.inputs(gan, 7, [0])).finally(sampler.dispose)
    const x = Layout.imagesToCompute(images)
    // three starts, each with its own noise
    const starts = [0, 1, 2]
    const repeated: NdArray.NdArray<"float32"> = Sampler.picked(x, [0, 0, 0]) as NdArray.NdArray<"float32">
    const search = async (steps: number): Promise<number> => {
      const begin = Sampler.inputs(gan, 3, starts, "project")
      const { pixels } = await Project.search(model, engine, repeated, begin, { steps })
      return Math.sqrt(Math.min(...pixels))
    }
    const [before, after] = [await search(1), await search(200)]
    expect(after / before).toBeLessThan(0.5)
  },
)
