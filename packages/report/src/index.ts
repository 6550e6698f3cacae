export * as Chart from "./Chart.ts"
export * as Page from "./Page.ts"
export * as PictureGrid from "./PictureGrid.ts"
export * as Table from "./Table.ts"
