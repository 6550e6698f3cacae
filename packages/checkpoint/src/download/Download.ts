/**
 * Published weights by name: pinned addresses and SHA-256, resumed where a download stopped, kept in a cache folder with a
 * receipt, believed only when the hash is right. `ADAFM_MIRROR` names a server that holds the same files, for people behind
 * firewalls.
 */
import { existsSync } from "node:fs"
import { open, rename, rm, stat } from "node:fs/promises"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Failure, Files } from "@adafm/core"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Receipt from "./Receipt.ts"

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
  /** The whole hash as the user knows it; it must be this one. */
  readonly sha256?: string
  /** Folder of a server that serves the same file names in place of the publisher; `$ADAFM_MIRROR`. */
  readonly mirror?: string
  readonly onProgress?: (progress: Progress) => void
  /** Attempts that go on where the one before stopped. */
  readonly attempts?: number
  /** Milliseconds without a byte after which an attempt is given up. */
  readonly stallTimeout?: number
  /** Milliseconds before the second attempt; twice as many before each further one. */
  readonly pause?: number
}

/**
 * What a file was held against: a whole hash that is `published` or `given` by the user or `recorded` with an earlier download,
 * or only the published `digits`, which keep accidents out and nobody who wants to deceive.
 */
export type Pin = "published" | "given" | "recorded" | "digits"

export interface Fetched {
  readonly name: string
  readonly file: string
  readonly sha256: string
  readonly bytes: number
  readonly cached: boolean
  readonly pin: Pin
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

interface Expected {
  readonly pin: Pin
  /** 64 hex digits, or the published first ones. */
  readonly sha256: string
}

/** What the file must be. All that is known must agree before a byte is fetched. */
const expected = async (asset: Asset, file: string, given: string | undefined): Promise<Expected> => {
  const digits = asset.sha256.toLowerCase()
  if (given !== undefined && !/^[0-9a-f]{64}$/i.test(given))
    return Failure.raise("BadHash", `a SHA-256 has 64 hex digits, ${JSON.stringify(given)} has not`)
  const known: readonly Expected[] = [
    ...(digits.length === 64 ? [{ pin: "published", sha256: digits } as const] : []),
    ...(given === undefined ? [] : [{ pin: "given", sha256: given.toLowerCase() } as const]),
  ]
  const recorded = known.length > 0 ? undefined : await Receipt.read(file)
  const all = recorded === undefined ? known : [{ pin: "recorded", sha256: recorded } as const]
  const odd = all.find(({ sha256 }) => !sha256.startsWith(digits) || sha256 !== all[0]!.sha256)
  if (odd !== undefined)
    return Failure.raise(
      "WrongHash",
      `the ${odd.pin} SHA-256 is ${odd.sha256}, the publisher's begins with ${digits}`,
      {
        ...(odd.pin === "recorded" && { file: Receipt.pathOf(file) }),
      },
    )
  return all.at(-1) ?? { pin: "digits", sha256: digits }
}

const matches = (expectation: Expected, sha256: string): boolean => sha256.startsWith(expectation.sha256)

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

/** Errors of the disk, which another attempt does not mend. */
const DISK = new Set(["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EISDIR"])

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
    const { code } = thrown as NodeJS.ErrnoException
    if (code !== undefined && DISK.has(code)) throw thrown
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

const wrong = (sha256: string, { pin, sha256: wanted }: Expected): string =>
  `SHA-256 is ${sha256}, the ${pin === "digits" ? "published digits are" : `${pin} one is`} ${wanted}`

const hashOf = (file: string): Promise<string> => Failure.orRaise(Files.sha256(file))

const download = async (
  asset: Asset,
  file: string,
  expectation: Expected,
  options: Options,
): Promise<Omit<Fetched, "pin">> => {
  const part = `${file}.part`
  await Files.folder(dirname(file))
  const { attempts = 5, pause = 500 } = options
  let reason = ""
  for (let n = 0; n < attempts; n++) {
    if (n > 0) await sleep(pause * 2 ** (n - 1))
    const resumed = existsSync(part)
    const outcome = await attempt(asset, part, options)
    if (outcome !== "complete") {
      reason = outcome.retry
      continue
    }
    const sha256 = await hashOf(part)
    if (matches(expectation, sha256)) {
      await Receipt.write(file, sha256)
      await rename(part, file)
      return { name: asset.name, file, sha256, bytes: (await stat(file)).size, cached: false }
    }
    await rm(part, { force: true })
    // an old part of another file spoils the hash once; a fresh download that is wrong stays wrong
    if (!resumed) return Failure.raise("WrongHash", `${wrong(sha256, expectation)}; the file was thrown away`, { file })
    reason = "the resumed file had the wrong SHA-256"
  }
  return Failure.raise(
    "DownloadFailed",
    `${addressOf(asset, options.mirror ?? process.env.ADAFM_MIRROR)} after ${attempts} attempts: ${reason}; the part stays for the next call`,
    { file: part },
  )
}

const cached = async (asset: Asset, file: string, expectation: Expected): Promise<Omit<Fetched, "pin">> => {
  const sha256 = await hashOf(file)
  if (!matches(expectation, sha256))
    return Failure.raise("WrongHash", `${wrong(sha256, expectation)}: delete the cached file and fetch again`, { file })
  // put here by hand: from now on it must stay as it is
  if (!existsSync(Receipt.pathOf(file))) await Receipt.write(file, sha256)
  return { name: asset.name, file, sha256, bytes: (await stat(file)).size, cached: true }
}

/** The asset in the cache, fetched if it is not there. */
export const fetchAsset = (asset: Asset, options: Options = {}): TE.TaskEither<Failure.Failure, Fetched> =>
  TE.tryCatch(async () => {
    const file = pathOf(asset, options)
    const expectation = await expected(asset, file, options.sha256)
    const isThere = existsSync(file)
    if (!isThere && options.offline === true)
      return Failure.raise("Offline", `${asset.name} is not in the cache; put ${asset.url} there as this file`, {
        file,
      })
    const fetched = isThere ? await cached(asset, file, expectation) : await download(asset, file, expectation, options)
    return { ...fetched, pin: expectation.pin }
  }, Failure.fromThrown)
