export * as AdaFM from "./AdaFM.ts"
export * as Modulate from "./Modulate.ts"
export * as Responsive from "./Responsive.ts"
export * as Rivals from "./Rivals.ts"
