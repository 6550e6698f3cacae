/** Every generator that is read by its graph can be taken apart for a transfer: what a stack carries, it also trains. */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { Checkpoint } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"
import { Gan } from "@adafm/gan"
import { describe, expect, test } from "vitest"
import * as GraphNetwork from "../../src/stacks/GraphNetwork.ts"
import * as StackReading from "../../src/stacks/StackReading.ts"
import * as Groups from "../../src/surgery/Groups.ts"
import { planOf } from "../surgery/planOf.ts"
import * as Fixtures from "./Fixtures.ts"

const folder = join(Fixtures.folder, "graphs")
const files = readdirSync(folder)
  .filter((name) => /-g(\.onnx|\.h5|\.keras)?$|^dcgan|^pytorchgan/.test(name) && !name.includes("depthwise"))
  .filter((name) => !name.endsWith(".safetensors"))
  .map((name) => (/\.\w+$/.test(name) ? name : `${name}/model.json`))
  .filter((name) => existsSync(join(folder, name)))

const configOf = (name: string) =>
  Failure.orThrow(
    Checkpoint.use(join(folder, name), (checkpoint) => {
      const { config } = StackReading.pair(GraphNetwork.read(checkpoint), undefined, "normal")
      return config
    }),
  )

describe.each(files)("%s", (name) => {
  test("has groups that cover every parameter of the generator once", async () => {
    const config = await configOf(name)
    const { groups, head } = Groups.of(config, "generator")
    const paths = Object.keys(Gan.of(config).generator)
    const layers = [...head, ...groups.flatMap(({ patterns }) => patterns)].map((p) => p.replace(/\*$/, ""))
    for (const path of paths) expect(layers.filter((layer) => path.startsWith(layer))).toHaveLength(1)
    expect(groups.length).toBeGreaterThan(0)
  })

  test.each(["adafm", "finetune", "scratch"])("has a plan for %s", async (recipe) => {
    const plan = planOf(recipe, await configOf(name))
    expect(plan._tag === "Left" ? plan.left.message : "planned").toBe("planned")
  })
})
