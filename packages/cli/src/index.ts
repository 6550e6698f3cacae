export * as Terminal from "./Terminal.ts"
export * as Values from "./Values.ts"
export * as Verb from "./Verb.ts"
