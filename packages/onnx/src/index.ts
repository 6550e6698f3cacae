export * as Graph from "./Graph.ts"
export * as Proto from "./Proto.ts"
export * as Session from "./Session.ts"
