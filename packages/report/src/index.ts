export * as Chart from "./Chart.ts"
export * as Grid from "./Grid.ts"
export * as Page from "./Page.ts"
export * as Table from "./Table.ts"
