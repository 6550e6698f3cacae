/**
 * Downloads of published weights with a pinned address and SHA-256. An interrupted download is resumed. The file stays in a
 * cache folder with a receipt and is used only if its hash is right. `ADAFM_MIRROR` names another server with the same files,
 * for networks that cannot reach the publisher.
 */
import { existsSync, statSync } from "node:fs"
import { stat } from "node:fs/promises"
import { homedir } from "node:os"
import { basename, dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Failure, Files, Lock } from "@adafm/core"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Address from "./Address.ts"
import * as PartialFile from "./PartialFile.ts"
import * as Receipt from "./Receipt.ts"

export interface Asset {
  readonly name: string
  readonly what: string
  readonly url: string
  /** 64 hex digits, or the first digits where the publisher pins no more. */
  readonly sha256: string
  /** File name in the cache. */
  readonly file: string
  /** Bytes; a longer response is refused. */
  readonly maxBytes: number
  /** Bytes, where the publisher's size is known. */
  readonly bytes?: number
  /** Of the publisher. */
  readonly licence: string
}

export interface Progress {
  readonly bytes: number
  /** The size that the server announces, if it does. */
  readonly total?: number
}

export interface Options {
  /** Cache folder; `$ADAFM_CACHE`, else `~/.cache/adafm`. */
  readonly cache?: string
  /** Never open a connection. */
  readonly offline?: boolean
  /** The whole hash, if the user knows it; the file must have it. */
  readonly sha256?: string
  /** Address of a folder with the same file names, used instead of the publisher's; `$ADAFM_MIRROR`. */
  readonly mirror?: string
  readonly onProgress?: (progress: Progress) => void
  /** Most attempts; each one resumes the one before. */
  readonly attempts?: number
  /** Milliseconds after which an attempt is abandoned if they brought less than `leastRate`. */
  readonly stallTimeout?: number
  /** Bytes a second; 1000 by default. */
  readonly leastRate?: number
  /** Milliseconds of all attempts together; a day by default. The next call resumes the partial file. */
  readonly timeLimit?: number
  /** Milliseconds before the second attempt; the pause doubles before each further one. */
  readonly pause?: number
}

/**
 * What a file was checked against: a whole hash that is `published`, `given` by the user or `recorded` with an earlier download;
 * or only the published `digits`, which catch accidents but not an attacker.
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

export const cacheFolder = ({ cache }: Pick<Options, "cache"> = {}): string =>
  cache ?? process.env.ADAFM_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "adafm")

/** The path of an asset in the cache. */
export const pathOf = (asset: Asset, options: Pick<Options, "cache"> = {}): string =>
  join(cacheFolder(options), asset.file)

/** Whether the cache has a file of this name; only `fetchAsset` checks its hash. */
export const present = (
  asset: Asset,
  options: Pick<Options, "cache"> = {},
): { readonly present: boolean; readonly path?: string; readonly bytes?: number } => {
  const path = pathOf(asset, options)
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? { present: false } : { present: true, path, bytes: found.size }
}

interface Expected {
  readonly pin: Pin
  /** 64 hex digits, or the published first digits. */
  readonly sha256: string
}

/** The hash that the file must have. All known hashes must agree before a byte is fetched. */
const expected = async (asset: Asset, file: string, given: string | undefined): Promise<Expected> => {
  const digits = asset.sha256.toLowerCase()
  if (given !== undefined && !/^[0-9a-f]{64}$/i.test(given))
    return Failure.raise("BadHash", `${JSON.stringify(given)} is not a SHA-256: expected 64 hex digits`)
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
      `the ${odd.pin} SHA-256 of ${asset.name} is ${odd.sha256}, but the publisher's begins with ${digits}`,
      {
        ...(odd.pin === "recorded" && { file: Receipt.pathOf(file) }),
      },
    )
  return all.at(-1) ?? { pin: "digits", sha256: digits }
}

const matches = (expectation: Expected, sha256: string): boolean => sha256.startsWith(expectation.sha256)

/** The publisher's address, or that of the same file on the mirror. */
const addressOf = (asset: Asset, mirror = process.env.ADAFM_MIRROR): Address.Address => {
  if (mirror === undefined || mirror === "") return Address.parse(asset.url, `the address of ${asset.name}`)
  const { url, ...rest } = Address.parse(mirror, "the mirror (--mirror or ADAFM_MIRROR)")
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${asset.file}`
  return { url, ...rest }
}

type Outcome = "complete" | { readonly retry: string }

/** Errors of the disk, which another attempt cannot fix. */
const DISK = new Set([
  "ENOSPC",
  "EDQUOT",
  "EROFS",
  "EACCES",
  "EPERM",
  "EIO",
  "EISDIR",
  "ENOTDIR",
  "ENAMETOOLONG",
  "ELOOP",
])

/** Aborts what brings less than the least rate, measured in windows of `stallTimeout`. */
const watch = ({ stallTimeout = 30_000, leastRate = 1000 }: Options) => {
  const abort = new AbortController()
  const least = Math.ceil((leastRate * stallTimeout) / 1000)
  let [arrived, why] = [0, ""]
  const timer = setInterval(() => {
    if (arrived < least) {
      why = `${arrived === 0 ? "no byte" : `only ${arrived} bytes`} arrived for ${stallTimeout} ms`
      abort.abort()
    }
    arrived = 0
  }, stallTimeout)
  return {
    signal: abort.signal,
    /** Why it was aborted; empty if it was not. */
    why: () => why,
    add: (bytes: number) => {
      arrived += bytes
    },
    stop: () => clearInterval(timer),
  }
}

/** One attempt: requests the bytes that the partial file lacks. */
const attempt = async (asset: Asset, part: string, options: Options, until: number): Promise<Outcome> => {
  const { onProgress } = options
  const address = addressOf(asset, options.mirror)
  const from = Address.shown(address.url)
  const have = await PartialFile.size(part)
  const version = have > 0 ? await PartialFile.version(part) : undefined
  const tooLarge = async (): Promise<never> => {
    await PartialFile.remove(part)
    return Failure.raise(
      "TooLarge",
      `${from} sends more than ${asset.maxBytes} bytes, which is the most that ${asset.name} can have`,
    )
  }
  const pace = watch(options)
  try {
    const response = await Address.request(
      address,
      {
        "accept-encoding": "identity",
        ...(have > 0 && { range: `bytes=${have}-` }),
        ...(version !== undefined && { "if-range": version }),
      },
      pace.signal,
    )
    if (response.status === 416 && have > 0) {
      await response.body?.cancel()
      return "complete" // nothing is missing; the hash decides
    }
    if (response.status >= 500 || response.status === 429) {
      await response.body?.cancel()
      return { retry: `HTTP ${response.status}` }
    }
    if (!response.ok || response.body === null) {
      await response.body?.cancel()
      return Failure.raise("DownloadRefused", `${from} responded with HTTP ${response.status}`)
    }
    const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")
    const resumed = response.status === 206 && have > 0 && range !== null && Number(range[1]) === have
    const start = resumed ? have : 0
    if (response.status === 206 && !resumed) {
      await response.body.cancel()
      await PartialFile.remove(part)
      return { retry: "the server sent another range than the requested one" }
    }
    const length = response.headers.get("content-length")
    const total = length === null ? undefined : start + Number(length)
    if (total !== undefined && total > asset.maxBytes) {
      await response.body.cancel()
      return await tooLarge()
    }
    const handle = await PartialFile.write(part, resumed, response)
    let bytes = start
    try {
      for await (const chunk of response.body) {
        pace.add(chunk.length)
        bytes += chunk.length
        if (bytes > asset.maxBytes) return await tooLarge()
        await handle.writeFile(chunk)
        onProgress?.({ bytes, ...(total !== undefined && { total }) })
        if (Date.now() > until) return { retry: "the time limit was reached" }
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    return total !== undefined && bytes < total ? { retry: `only ${bytes} of ${total} bytes arrived` } : "complete"
  } catch (thrown) {
    if (thrown instanceof Failure.Raised) throw thrown
    const { code } = thrown as NodeJS.ErrnoException
    // errors of an open file do not name it
    if (code !== undefined && DISK.has(code)) throw new Failure.Raised(Failure.inFile(part)(Failure.fromThrown(thrown)))
    const cause = thrown instanceof Error && thrown.cause instanceof Error ? `: ${thrown.cause.message}` : ""
    return { retry: pace.why() || `${thrown instanceof Error ? thrown.message : String(thrown)}${cause}` }
  } finally {
    pace.stop()
  }
}

const wrong = (sha256: string, { pin, sha256: wanted }: Expected): string =>
  `the file's SHA-256 is ${sha256}, but the ${pin === "digits" ? "published digits are" : `${pin} one is`} ${wanted}`

const hashOf = (file: string): Promise<string> => Failure.orThrow(Files.sha256(file))

const DAY = 86_400_000 // ms

const download = async (
  asset: Asset,
  file: string,
  expectation: Expected,
  options: Options,
): Promise<Omit<Fetched, "pin">> => {
  const part = `${file}.part`
  await Files.folder(dirname(file))
  const { attempts = 5, pause = 500, timeLimit = DAY } = options
  const until = Date.now() + timeLimit
  let [reason, n] = ["", 0]
  for (; n < attempts && Date.now() <= until; n++) {
    if (n > 0) await sleep(pause * 2 ** (n - 1))
    const resumed = (await PartialFile.size(part)) > 0
    const outcome = await attempt(asset, part, options, until)
    if (outcome !== "complete") {
      reason = outcome.retry
      continue
    }
    const sha256 = await hashOf(part)
    if (matches(expectation, sha256)) {
      await Receipt.write(file, sha256)
      await Files.move(part, file)
      await PartialFile.remove(part)
      return { name: asset.name, file, sha256, bytes: (await stat(file)).size, cached: false }
    }
    await PartialFile.remove(part)
    // a part of an older file makes the hash wrong once; a whole download with a wrong hash would only repeat
    if (!resumed) return Failure.raise("WrongHash", `${wrong(sha256, expectation)}; the download was deleted`, { file })
    reason = "the resumed file had the wrong SHA-256"
  }
  return Failure.raise(
    "DownloadFailed",
    `could not download ${Address.shown(addressOf(asset, options.mirror).url)} in ${n} ${n === 1 ? "attempt" : "attempts"}: ${reason}. The next call resumes the partial file`,
    { file: part },
  )
}

const cached = async (asset: Asset, file: string, expectation: Expected): Promise<Omit<Fetched, "pin">> => {
  const sha256 = await hashOf(file)
  if (!matches(expectation, sha256))
    return Failure.raise("WrongHash", `${wrong(sha256, expectation)}; delete the cached file and fetch it again`, {
      file,
    })
  // the user put the file here: record its hash, so that a later change is noticed
  if (!existsSync(Receipt.pathOf(file))) await Receipt.write(file, sha256)
  return { name: asset.name, file, sha256, bytes: (await stat(file)).size, cached: true }
}

/** The asset in the cache, downloaded if it is not there. */
export const fetchAsset = (asset: Asset, options: Options = {}): TE.TaskEither<Failure.Failure, Fetched> =>
  Failure.attempt(async () => {
    const file = pathOf(asset, options)
    const expectation = await expected(asset, file, options.sha256)
    const kept = async () => (existsSync(file) ? cached(asset, file, expectation) : undefined)
    const there = await kept()
    if (there === undefined && options.offline === true)
      return Failure.raise(
        "Offline",
        `${asset.name} is not in the cache, and --offline forbids the download; put ${asset.url} there under this name`,
        { file },
      )
    // of two processes that want the same file, one fetches it and the other waits
    const fetched =
      there ??
      (await Lock.within(
        dirname(file),
        async () => (await kept()) ?? download(asset, file, expectation, options),
        kept,
        `${basename(file)}.lock`,
      ))
    return { ...fetched, pin: expectation.pin }
  })
