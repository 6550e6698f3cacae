export * as Engines from "./Engines.ts"
export * from "./index.browser.ts"
