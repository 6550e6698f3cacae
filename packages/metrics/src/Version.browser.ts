/** The version of this package, for the provenance of scores; a bundler puts it in. */
import manifest from "../package.json" with { type: "json" }

export const version: string = manifest.version
