/** A browser has the embedded network only; features of photographs are kept in its private file system. */
import type { Extractor } from "@adafm/metrics"

export const cache = (): string => "/cache"

/** Where an extractor finds its weights: nowhere. */
export const search = (): Omit<Extractor.Options, "name"> => ({})
