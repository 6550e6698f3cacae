/** The version of this package, for the provenance of scores. */
import { createRequire } from "node:module"

export const { version } = createRequire(import.meta.url)("../package.json") as { readonly version: string }
