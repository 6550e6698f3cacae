export * as Download from "./download/Download.ts"
export * as PublishedWeights from "./download/PublishedWeights.ts"
export * from "./index.browser.ts"
