/** The activations of a graph while it is read, and their way back from the output as a stack. */
import { Failure } from "@adafm/core"
import { type Stack, StackShape } from "@adafm/gan"

export type Root = "input" | "label"

export type Join = "sum" | "product" | "concat"

/** An activation: what a root is, what a layer makes of one, or what several make together. */
export interface Point {
  readonly shape: StackShape.Shape
  readonly inputs: readonly Point[]
  readonly layer?: Stack.Layer
  readonly join?: Join
  readonly roots: ReadonlySet<Root>
  /** Points on every way from the input, in order; itself the last. */
  readonly dominators: readonly Point[]
}

/** Layers of one network with all branches written out. */
const MAX_LAYERS = 5000

export const root = (kind: Root, shape: StackShape.Shape): Point => {
  const point: Point = { shape, inputs: [], roots: new Set([kind]), dominators: [] }
  ;(point as { dominators: readonly Point[] }).dominators = [point]
  return point
}

const dominatorsOf = (inputs: readonly Point[]): readonly Point[] => {
  const main = inputs.filter(({ roots }) => roots.has("input"))
  const [first, ...others] = main.length > 0 ? main : inputs
  return first!.dominators.filter((p) => others.every(({ dominators }) => dominators.includes(p)))
}

const made = (point: Omit<Point, "dominators" | "roots">): Point => {
  const roots = new Set(point.inputs.flatMap((input) => [...input.roots]))
  const complete: Point = { ...point, roots, dominators: [] }
  ;(complete as { dominators: readonly Point[] }).dominators = [...dominatorsOf(point.inputs), complete]
  return complete
}

/** @param name of the node, for the message where the layer does not fit */
export const layer = (input: Point, own: Stack.Layer, name: string): Point => {
  const found = StackShape.of([own], input.shape)
  return "ok" in found
    ? made({ shape: found.ok, inputs: [input], layer: own })
    : Failure.raise("UnsupportedGraph", `the node ${name} ${found.misfit.message}`, { path: name })
}

export const join = (inputs: readonly Point[], kind: Join, shape: StackShape.Shape): Point =>
  made({ shape, inputs, join: kind })

/** The layers that lead from one point to another. */
export const stackOf = (from: Point, to: Point, label: Point | undefined): Stack.Layer[] => {
  let count = 0
  const between = (begin: Point, end: Point): Stack.Layer[] => {
    const layers: Stack.Layer[] = []
    let at = end
    while (at !== begin) {
      if (++count > MAX_LAYERS)
        return Failure.raise("UnsupportedGraph", `its branches, written out, have more than ${MAX_LAYERS} layers`)
      const { inputs, layer: own, join: kind } = at
      if (own !== undefined) {
        layers.push(own)
        at = inputs[0]!
      } else if (kind === undefined) {
        return Failure.raise("UnsupportedGraph", "its output does not depend on its input")
      } else {
        const isMain = ({ roots }: Point): boolean => roots.has("input") || !begin.roots.has("input")
        const main = inputs.filter(isMain)
        const others = inputs.filter((input) => !isMain(input))
        if (main.length === 1) {
          for (const other of others.toReversed())
            layers.push({
              kind: "label",
              join: kind,
              first: inputs.indexOf(other) < inputs.indexOf(main[0]!),
              layers: between(label!, other),
            })
          at = main[0]!
        } else {
          if (others.length > 0)
            return Failure.raise("UnsupportedGraph", "joins several branches and a label in one node")
          const meet = at.dominators.at(-2)
          if (meet === undefined) return Failure.raise("UnsupportedGraph", "has branches that do not begin together")
          layers.push({ kind, branches: main.map((branch) => between(meet, branch)) })
          at = meet
        }
      }
    }
    return layers.reverse()
  }
  return between(from, to)
}
