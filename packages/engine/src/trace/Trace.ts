/** Turns a step into a graph by running it once on tensors that represent values. */
import { Flat } from "@adafm/core"
import * as KernelGradients from "@adafm/core/optimise/KernelGradients"
import type { Specs, Step } from "../Engine.ts"
import * as GraphBuilder from "./GraphBuilder.ts"
import * as Ir from "./Ir.ts"
import * as RecordingBackend from "./RecordingBackend.ts"

export const step = (run: Step, { state, batch }: Specs): Ir.Program => {
  const graph = GraphBuilder.make()
  KernelGradients.register()
  return RecordingBackend.record(graph, (wrap, unwrap) => {
    const returned = run(
      Flat.map(state, ({ shape, dtype }, path) => wrap(graph.input("state", path, shape, dtype))),
      Flat.map(batch, ({ shape, dtype }, path) => wrap(graph.input("batch", path, shape, dtype))),
    )
    const next = Flat.map(returned.state ?? {}, unwrap)
    for (const [path, value] of Object.entries(next)) {
      const spec = state[path]
      if (spec === undefined)
        throw new Error(`the step returns state ${path}, which is not among the state that it was compiled for`)
      if (!Ir.sameShape(spec.shape, value.shape)) {
        throw new Error(
          `state ${path} has shape [${spec.shape.join(", ")}], but the step returns it with shape [${value.shape.join(", ")}]`,
        )
      }
    }
    const unchanged = (path: string, value: Ir.Value): boolean =>
      value.kind === "input" && value.role === "state" && value.name === path
    return {
      state: Flat.filter(next, (path, value) => !unchanged(path, value)),
      stats: Flat.map(returned.stats, unwrap),
    }
  })
}
