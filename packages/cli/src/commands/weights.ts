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

/** What the hash of a downloaded file was compared with. */
const pins: Readonly<Record<Download_.Pin, string>> = {
  published: "as published",
  given: "as in --sha256",
  recorded: "as in the first download",
  digits: "only its first 8 digits are published, and they match; later downloads must have the same hash",
}

export const weights: Verb.Verb<typeof shape> = {
  name: "weights",
  about: "list or download published weights: `weights list`, `weights fetch NAME…`",
  files: "<action> [names...]",
  flags: [
    ["--cache <folder>", "the folder of the downloads (default: $ADAFM_CACHE, else ~/.cache/adafm)"],
    ["--mirror <url>", "download from a server with the same file names (default: $ADAFM_MIRROR, else the publisher)"],
    ["--sha256 <hash>", "the SHA-256 that the file must have; for a single name"],
    ["--offline", "do not open a connection"],
  ],
  shape,
  run: async ({ files: [action, ...names], options, terminal }) => {
    const { PublishedWeights, Download } = await import("@adafm/checkpoint")
    if (action === "list") {
      if (names.length > 0) usage(`weights list takes no names, found ${names.join(", ")}`)
      const found = PublishedWeights.all.map((asset) => ({ ...asset, ...Download.present(asset, options) }))
      const sizeOf = (bytes: number | undefined): string =>
        bytes === undefined ? "size not known" : `${(bytes / MEGA).toFixed(1)} MB`
      const json = {
        cache: Download.cacheFolder(options),
        weights: found.map(({ maxBytes: _, ...rest }) => rest),
      }
      const rows = found.map(({ name, what, present, sha256, bytes, licence }) => [
        name,
        present ? "downloaded" : "",
        sizeOf(bytes),
        licence,
        sha256.length === 64 ? "SHA-256 known" : `first ${sha256.length} digits of the SHA-256 known`,
        what,
      ])
      return { json, text: `cache: ${json.cache}\n${Terminal.table(rows)}` }
    }
    if (action !== "fetch") usage(`expected weights list or weights fetch, found weights ${action}`)
    if (options.sha256 !== undefined && names.length !== 1)
      usage(`--sha256 is the hash of one file, found ${names.length} names`)
    if (names.length === 0) usage("weights fetch needs a name: weights list shows the names")
    const assets = names.map(
      (name) =>
        PublishedWeights.find(name) ??
        usage(
          `there are no weights named ${name}; the names are ${PublishedWeights.all.map((a) => a.name).join(", ")}`,
        ),
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
          `${f.name}: ${f.file}, ${f.bytes} bytes, SHA-256 ${f.sha256} (${pins[f.pin]})${f.cached ? ", downloaded before" : ""}`,
      )
      .join("\n")
    return { json: { fetched }, text }
  },
}
