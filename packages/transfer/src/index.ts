export * as Checkpoint from "./Checkpoint.ts"
