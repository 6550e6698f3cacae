import type { Download as Download_ } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"
import { z } from "zod"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { usage } from "../Verb.ts"

const shape = {
  cache: z.exactOptional(Values.text),
  mirror: z.exactOptional(Values.text),
  sha256: z.exactOptional(Values.text),
  offline: Values.flag.default(false),
}

const MEGA = 1e6

/** What a fetched file was held against. */
const pins: Readonly<Record<Download_.Pin, string>> = {
  published: "as published",
  given: "as given",
  recorded: "as recorded with the first download",
  digits:
    "only its first 8 digits are published: compare the rest with somebody else's; recorded, later files must be the same",
}

export const weights: Verb.Verb<typeof shape> = {
  name: "weights",
  about: "published weights by name: `weights list`, `weights fetch NAME…`",
  files: "<action> [names...]",
  flags: [
    ["--cache <folder>", "where they lie (default: $ADAFM_CACHE, else ~/.cache/adafm)"],
    ["--mirror <url>", "a server that has the same file names (default: $ADAFM_MIRROR, else the publisher)"],
    ["--sha256 <hash>", "the whole hash that the file must have; with one name"],
    ["--offline", "never open a connection"],
  ],
  shape,
  run: async ({ files: [action, ...names], options, terminal }) => {
    const { PublishedWeights, Download } = await import("@adafm/checkpoint")
    if (action === "list") {
      if (names.length > 0) usage("weights list takes no names")
      const found = PublishedWeights.all.map((asset) => ({ ...asset, ...Download.present(asset, options) }))
      const json = {
        cache: Download.cacheFolder(options),
        weights: found.map(({ maxBytes: _, ...rest }) => rest),
      }
      const rows = found.map(({ name, what, present, sha256 }) => [
        name,
        present ? "fetched" : "",
        sha256.length === 64 ? "whole SHA-256" : `${sha256.length} digits`,
        what,
      ])
      return { json, text: `cache: ${json.cache}\n${Terminal.table(rows)}` }
    }
    if (action !== "fetch") usage(`weights list or weights fetch, found ${action}`)
    if (options.sha256 !== undefined && names.length !== 1) usage("--sha256 goes with one name")
    if (names.length === 0) usage("weights fetch takes names; weights list shows them")
    const assets = names.map(
      (name) =>
        PublishedWeights.find(name) ??
        usage(`no weights are called ${name}; there are ${PublishedWeights.all.map((a) => a.name).join(", ")}`),
    )
    const fetched = []
    for (const asset of assets) {
      const progress = terminal.progress(`${asset.name}, MB`)
      const onProgress = ({ bytes, total }: { readonly bytes: number; readonly total?: number }): void =>
        progress.update(Math.round(bytes / MEGA), total === undefined ? undefined : Math.round(total / MEGA))
      fetched.push(await Failure.orThrow(Download.fetchAsset(asset, { ...options, onProgress })).finally(progress.stop))
    }
    const text = fetched
      .map(
        (f) =>
          `${f.name}: ${f.file}, ${f.bytes} bytes, SHA-256 ${f.sha256} (${pins[f.pin]})${f.cached ? ", was there already" : ""}`,
      )
      .join("\n")
    return { json: { fetched }, text }
  },
}
