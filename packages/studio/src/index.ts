export type * as Protocol from "./protocol/Protocol.ts"
