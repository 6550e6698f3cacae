export * as Inspect from "./import/Inspect.ts"
export * from "./index.browser.ts"
