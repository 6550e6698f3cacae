export * as AdaFM from "./AdaFM.ts"
export * as FilterModulations from "./FilterModulations.ts"
export * as InputConditioned from "./InputConditioned.ts"
export * as Modulate from "./Modulate.ts"
