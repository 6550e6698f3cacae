export * as Eager from "./backends/Eager.ts"
export * as Onnx from "./backends/Onnx.ts"
export type { Arrays, Engine, Program, Spec, Specs, Step, Tensors } from "./Engine.ts"
export * as Engines from "./Engines.ts"
