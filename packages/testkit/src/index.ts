export * as Shared from "./Shared.ts"
