export * as Close from "./Close.ts"
export * as Derivatives from "./Derivatives.ts"
export * as Drawn from "./Drawn.ts"
export * as Shared from "./Shared.ts"
