/**
 * Published weights by name: pinned addresses and SHA-256, resumed where a download stopped, kept in a cache folder, believed
 * only when the hash is right. `ADAFM_MIRROR` names a server that holds the same files, for people behind firewalls.
 */
import { createHash, type Hash } from "node:crypto"
import { createReadStream, existsSync } from "node:fs"
import { mkdir, open, rename, rm, stat } from "node:fs/promises"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { Failure, Files } from "@adafm/core"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"

export interface Asset {
  readonly name: string
  readonly what: string
  readonly url: string
  /** 64 hex digits, or the first digits where the publisher pins no more. */
  readonly sha256: string
  /** File name in the cache. */
  readonly file: string
  /** Bytes; a longer answer is cut off and refused. */
  readonly maxBytes: number
}

export interface Progress {
  readonly bytes: number
  /** Announced by the server, if it says so. */
  readonly total?: number
}

export interface Options {
  /** Cache folder; `$ADAFM_CACHE`, else `~/.cache/adafm`. */
  readonly cache?: string
  /** Never open a connection. */
  readonly offline?: boolean
  /** Folder of a server that serves the same file names in place of the publisher; `$ADAFM_MIRROR`. */
  readonly mirror?: string
  readonly onProgress?: (progress: Progress) => void
  /** Attempts that go on where the one before stopped. */
  readonly attempts?: number
  /** Milliseconds without a byte after which an attempt is given up. */
  readonly stallTimeout?: number
}

export interface Fetched {
  readonly name: string
  readonly file: string
  readonly sha256: string
  readonly bytes: number
  readonly cached: boolean
}

/** Redirects followed: object stores need one or two. */
const MAX_REDIRECTS = 5

export const cacheFolder = ({ cache }: Pick<Options, "cache"> = {}): string =>
  cache ?? process.env.ADAFM_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "adafm")

/** Where an asset lies once it is fetched. */
export const pathOf = (asset: Asset, options: Pick<Options, "cache"> = {}): string =>
  join(cacheFolder(options), asset.file)

/** Whether an asset is in the cache, by name; `fetchAsset` also checks its hash. */
export const present = (
  asset: Asset,
  options: Pick<Options, "cache"> = {},
): { readonly present: boolean; readonly path?: string } => {
  const path = pathOf(asset, options)
  return existsSync(path) ? { present: true, path } : { present: false }
}

const matches = (asset: Asset, sha256: string): boolean => sha256.startsWith(asset.sha256.toLowerCase())

const addressOf = (asset: Asset, mirror: string | undefined): string =>
  mirror === undefined ? asset.url : `${mirror.replace(/\/+$/, "")}/${asset.file}`

type Outcome = "complete" | { readonly retry: string }

/** Follows redirects by hand: only to http(s), and never from https to http. */
const request = async (address: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> => {
  let url = new URL(address)
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const response = await fetch(url, { headers, redirect: "manual", signal })
    const location = response.headers.get("location")
    if (response.status < 300 || response.status >= 400 || location === null) return response
    await response.body?.cancel()
    const next = new URL(location, url)
    if (!/^https?:$/.test(next.protocol) || (url.protocol === "https:" && next.protocol === "http:"))
      return Failure.raise("BadRedirect", `${url.href} redirects to ${next.href}`)
    url = next
  }
  return Failure.raise("BadRedirect", `more than ${MAX_REDIRECTS} redirects from ${address}`)
}

/** One attempt: asks for what is missing behind the part that is there. */
const attempt = async (asset: Asset, part: string, options: Options): Promise<Outcome> => {
  const { onProgress, stallTimeout = 30_000 } = options
  const have = existsSync(part) ? (await stat(part)).size : 0
  const abort = new AbortController()
  let timer = setTimeout(() => abort.abort(), stallTimeout)
  const alive = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => abort.abort(), stallTimeout)
  }
  const address = addressOf(asset, options.mirror ?? process.env.ADAFM_MIRROR)
  try {
    const response = await request(
      address,
      { "accept-encoding": "identity", ...(have > 0 && { range: `bytes=${have}-` }) },
      abort.signal,
    )
    if (response.status === 416) {
      await response.body?.cancel()
      return "complete" // nothing is missing; the hash decides
    }
    if (response.status >= 500 || response.status === 429) {
      await response.body?.cancel()
      return { retry: `HTTP ${response.status}` }
    }
    if (!response.ok || response.body === null) {
      await response.body?.cancel()
      return Failure.raise("DownloadRefused", `${address} answers HTTP ${response.status}`)
    }
    const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")
    const resumed = response.status === 206 && have > 0 && range !== null && Number(range[1]) === have
    const start = resumed ? have : 0
    if (response.status === 206 && !resumed && have > 0) {
      await response.body.cancel()
      await rm(part, { force: true })
      return { retry: "the server answered another range than was asked for" }
    }
    const length = response.headers.get("content-length")
    const total = length === null ? undefined : start + Number(length)
    const handle = await open(part, resumed ? "a" : "w")
    let bytes = start
    try {
      for await (const chunk of response.body) {
        alive()
        bytes += chunk.length
        if (bytes > asset.maxBytes)
          return Failure.raise("TooLarge", `${address} sends more than ${asset.maxBytes} bytes`)
        await handle.writeFile(chunk)
        onProgress?.({ bytes, ...(total !== undefined && { total }) })
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    return total !== undefined && bytes < total ? { retry: `${bytes} of ${total} bytes came` } : "complete"
  } catch (thrown) {
    if (thrown instanceof Failure.Raised) throw thrown
    const cause = thrown instanceof Error && thrown.cause instanceof Error ? `: ${thrown.cause.message}` : ""
    return {
      retry: abort.signal.aborted
        ? `no byte for ${stallTimeout} ms`
        : `${thrown instanceof Error ? thrown.message : String(thrown)}${cause}`,
    }
  } finally {
    clearTimeout(timer)
  }
}

const hashOf = async (file: string): Promise<string> => {
  const hash: Hash = createHash("sha256")
  for await (const chunk of createReadStream(file)) hash.update(chunk as Uint8Array)
  return hash.digest("hex")
}

const download = async (asset: Asset, file: string, options: Options): Promise<Fetched> => {
  const part = `${file}.part`
  await mkdir(dirname(file), { recursive: true })
  const { attempts = 5 } = options
  let reason = ""
  for (let n = 0; n < attempts; n++) {
    const resumed = existsSync(part)
    const outcome = await attempt(asset, part, options)
    if (outcome !== "complete") {
      reason = outcome.retry
      continue
    }
    const sha256 = await hashOf(part)
    if (matches(asset, sha256)) {
      await rename(part, file)
      return { name: asset.name, file, sha256, bytes: (await stat(file)).size, cached: false }
    }
    await rm(part, { force: true })
    // an old part of another file spoils the hash once; a fresh download that is wrong stays wrong
    if (!resumed)
      return Failure.raise("WrongHash", `SHA-256 is ${sha256}, expected ${asset.sha256}; the file was thrown away`, {
        file,
      })
    reason = "the resumed file had the wrong SHA-256"
  }
  return Failure.raise(
    "DownloadFailed",
    `${addressOf(asset, options.mirror ?? process.env.ADAFM_MIRROR)} after ${attempts} attempts: ${reason}; the part stays for the next call`,
    { file: part },
  )
}

/** The asset in the cache, fetched if it is not there. */
export const fetchAsset = (asset: Asset, options: Options = {}): TE.TaskEither<Failure.Failure, Fetched> => {
  const file = pathOf(asset, options)
  if (existsSync(file))
    return pipe(
      Files.sha256(file),
      TE.flatMap((sha256) =>
        matches(asset, sha256)
          ? TE.tryCatch(
              async () => ({ name: asset.name, file, sha256, bytes: (await stat(file)).size, cached: true }),
              Failure.fromThrown,
            )
          : TE.left(
              Failure.make(
                "WrongHash",
                `the cached file has SHA-256 ${sha256}, expected ${asset.sha256}; delete it and fetch again`,
                { file },
              ),
            ),
      ),
    )
  if (options.offline === true)
    return TE.left(
      Failure.make("Offline", `${asset.name} is not in the cache; put ${asset.url} there as this file`, { file }),
    )
  return TE.tryCatch(() => download(asset, file, options), Failure.fromThrown)
}
