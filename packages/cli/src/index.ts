export * as Program from "./Program.ts"
