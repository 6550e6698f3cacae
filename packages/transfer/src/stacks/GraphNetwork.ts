/** A network that its file describes: the graph becomes a stack, its constants the parameters. */
import type { Checkpoint } from "@adafm/checkpoint"
import { Failure, Flat, NdArray } from "@adafm/core"
import * as Compile from "../graph/Compile.ts"
import * as FromKeras from "../graph/FromKeras.ts"
import * as FromOnnx from "../graph/FromOnnx.ts"
import * as FromTensorFlow from "../graph/FromTensorFlow.ts"
import type * as Operators from "../graph/Operators.ts"
import type * as Recognise from "../recognise/Recognise.ts"
import type * as StackReading from "./StackReading.ts"

/** Whether the file has a graph of at least one node. */
export const has = ({ topology }: Pick<Checkpoint.Checkpoint, "topology">): boolean =>
  topology !== undefined && (topology.kind !== "onnx" || topology.nodes.length > 0)

export const graphOf = (checkpoint: Checkpoint.Checkpoint): Operators.Graph => {
  const { topology } = checkpoint
  if (topology === undefined) return Failure.raise("NoGraph", "the file has no graph", { file: checkpoint.file })
  switch (topology.kind) {
    case "onnx":
      return FromOnnx.graph(topology, checkpoint)
    case "keras":
      return FromKeras.graph(topology, checkpoint)
    case "tensorflow":
      return FromTensorFlow.graph(topology, checkpoint)
  }
}

export interface GraphReading extends StackReading.StackReading {
  /** Names of the graph's input and output that were read. */
  readonly names: Compile.Compiled["names"]
  /** Tensors of the file that the parameters are made of. */
  readonly used: ReadonlySet<string>
}

export const read = (checkpoint: Checkpoint.Checkpoint): GraphReading => {
  try {
    const { layers, input, output, parameters, names } = Compile.compile(graphOf(checkpoint))
    const own = [...parameters].map(([path, constant]): [string, Recognise.Parameter] => [
      path,
      {
        from: constant.from[0] ?? path,
        shape: constant.shape,
        compute: () => NdArray.toFloat32(constant.read()),
      },
    ])
    const used = new Set([...parameters.values()].flatMap(({ from }) => from))
    return { layers, input, output, parameters: Flat.fromEntries(own), assumptions: [], names, used }
  } catch (thrown) {
    if (!(thrown instanceof Failure.Raised) || thrown.failure.file !== undefined) throw thrown
    throw new Failure.Raised({ ...thrown.failure, file: checkpoint.file })
  }
}
