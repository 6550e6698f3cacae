/** What a browser can import: without the engines of Node's TensorFlow.js packages, and so without the choice among engines. */
export * as Eager from "./backends/Eager.ts"
export * as Onnx from "./backends/Onnx.ts"
export type { Arrays, Engine, Program, Spec, Specs, Step, Tensors } from "./Engine.ts"
export * as OnnxExport from "./OnnxExport.ts"
