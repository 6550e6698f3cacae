export * as Checkpoint from "./Checkpoint.ts"
export * as Import from "./Import.ts"
export * as Inspect from "./Inspect.ts"
export * as Recognise from "./Recognise.ts"
