/**
 * Models on the Hugging Face Hub: `hf:owner/name[@revision]` names one wherever a model folder is expected. A branch or a tag is
 * resolved to its commit, and files are kept by commit and used only if their hashes are those that the Hub lists.
 */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, rename, rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Failure, Files } from "@adafm/core"
import { ModelFolder } from "@adafm/gan"
import { z } from "zod"
import * as WeightFolders from "../run/WeightFolders.ts"

const PREFIX = "hf:"

export const isReference = (path: string): boolean => path.startsWith(PREFIX)

export interface Reference {
  /** `owner/name` */
  readonly repo: string
  /** A branch, a tag or a commit; the main branch by default. */
  readonly revision?: string
}

const PATTERN = /^hf:([\w-][\w.-]{0,95}\/[\w-][\w.-]{0,95})(?:@([\w][\w./-]{0,254}))?$/

export const parse = (path: string): Reference => {
  const match = PATTERN.exec(path)
  if (match === null || path.includes(".."))
    return Failure.raise("BadArguments", "expected hf:owner/name or hf:owner/name@revision", { file: path })
  const [, repo, revision] = match
  return { repo: repo!, ...(revision !== undefined && { revision }) }
}

const isCommit = (revision: string | undefined): revision is string => /^[0-9a-f]{40}$/.test(revision ?? "")

/** What is asked for, at the commit that a run recorded of the same repository unless another revision is asked for. */
export const pinned = (asked: string, recorded: string | undefined): string => {
  if (!isReference(asked) || recorded === undefined || !isReference(recorded)) return asked
  const [now, then] = [parse(asked), parse(recorded)]
  return now.revision === undefined && now.repo === then.repo ? recorded : asked
}

/** The server and the user's token, from the variables that all of Hugging Face's programs read. */
export const credentials = (): { readonly hubUrl?: string; readonly accessToken?: string } => {
  const { HF_ENDPOINT: hubUrl, HF_TOKEN: accessToken } = process.env
  return { ...(hubUrl && { hubUrl: hubUrl.replace(/\/+$/, "") }), ...(accessToken && { accessToken }) }
}

/** The files of a model folder; the last one may be missing. */
const NAMES = ["model.json", "generator.safetensors", "discriminator.safetensors"] as const
/** Bytes; larger than every model that this project trains. */
const MAX = 4e9

const Pins = z.strictObject({
  repo: z.string(),
  commit: z.string(),
  /** SHA-256 by name. */
  files: z.record(z.string(), z.string()),
})

const PINS = "pins.json"

const folderOf = ({ repo }: Reference, commit: string): string =>
  join(WeightFolders.cache(), "hub", repo.replace("/", "--"), commit)

/** Whether all files are there with the hashes that were checked when they were fetched. */
const isWhole = async (folder: string): Promise<boolean> => {
  if (!existsSync(join(folder, PINS))) return false
  const { files } = await Failure.orThrow(ModelFolder.readJson(Pins, join(folder, PINS)))
  for (const [name, expected] of Object.entries(files)) {
    if (!(NAMES as readonly string[]).includes(name) || !existsSync(join(folder, name))) return false
    const found = await Failure.orThrow(Files.sha256(join(folder, name)))
    if (found !== expected)
      Failure.raise("WrongHash", `the file's SHA-256 is ${found}, but ${expected} was fetched: delete its folder`, {
        file: join(folder, name),
      })
  }
  return true
}

const load = () => import("@huggingface/hub")
type Hub = Awaited<ReturnType<typeof load>>

/** The Hub's answer, or a failure that names the repository. */
const asked = async <A>(path: string, request: Promise<A>): Promise<A> => {
  try {
    return await request
  } catch (thrown) {
    const { statusCode } = thrown as { readonly statusCode?: number }
    const { message } = Failure.fromThrown(thrown)
    const hint =
      statusCode === 401 || statusCode === 403 || statusCode === 404
        ? "it does not exist, or it is private: then set HF_TOKEN to a token that may read it"
        : `the Hub cannot be reached or refused (${message})`
    return Failure.raise("HubRefused", hint, { file: path })
  }
}

const commitOf = async (hub: Hub, path: string, { repo, revision }: Reference): Promise<string> => {
  if (isCommit(revision)) return revision
  const info = await asked(
    path,
    hub.modelInfo({
      name: repo,
      additionalFields: ["sha"],
      ...(revision !== undefined && { revision }),
      ...credentials(),
    }),
  )
  return isCommit(info.sha) ? info.sha : Failure.raise("HubRefused", "the Hub names no commit of it", { file: path })
}

interface Listed {
  readonly name: string
  readonly size: number
  /** SHA-256 of large files; of small ones git's SHA-1 of a blob. */
  readonly hash: { readonly kind: "sha256" | "git"; readonly digest: string }
}

const list = async (hub: Hub, path: string, repo: string, revision: string): Promise<readonly Listed[]> => {
  const found: Listed[] = []
  await asked(
    path,
    (async () => {
      for await (const { type, path: name, size, oid = "", lfs } of hub.listFiles({ repo, revision, ...credentials() }))
        if (type === "file" && (NAMES as readonly string[]).includes(name))
          found.push({
            name,
            size: lfs?.size ?? size,
            hash: lfs === undefined ? { kind: "git", digest: oid } : { kind: "sha256", digest: lfs.oid },
          })
    })(),
  )
  return found
}

/** Streams a file to disk; the hashes are computed on the way. Returns the SHA-256. */
const fetchFile = async (
  hub: Hub,
  path: string,
  { repo, commit }: { readonly repo: string; readonly commit: string },
  { name, size, hash }: Listed,
  target: string,
): Promise<string> => {
  if (size > MAX)
    Failure.raise("TooLarge", `${name} has ${size} bytes; the limit is ${MAX}`, { file: path, path: name })
  const blob = await asked(path, hub.downloadFile({ repo, path: name, revision: commit, xet: false, ...credentials() }))
  if (blob === null) return Failure.raise("HubRefused", "the file is listed but not there", { file: path, path: name })
  const [sha256, git] = [createHash("sha256"), createHash("sha1").update(`blob ${size}\0`)]
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of blob.stream() as unknown as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    if (bytes > size) break
    sha256.update(chunk)
    git.update(chunk)
    chunks.push(chunk)
  }
  const [own, blobHash] = [sha256.digest("hex"), git.digest("hex")]
  const found = hash.kind === "sha256" ? own : blobHash
  if (bytes !== size || found !== hash.digest)
    Failure.raise(
      "WrongHash",
      `expected ${size} bytes with ${hash.kind === "sha256" ? "SHA-256" : "git hash"} ${hash.digest}, found ${bytes} with ${found}; nothing was kept`,
      { file: path, path: name },
    )
  await Failure.orThrow(Files.write(target, chunks))
  return own
}

export interface Fetched {
  /** The model folder in the cache. */
  readonly folder: string
  /** `hf:owner/name@COMMIT` */
  readonly path: string
}

/** The model folder of a reference, fetched if the cache does not have it. */
export const fetch = async (path: string): Promise<Fetched> => {
  const reference = parse(path)
  const { repo, revision } = reference
  if (isCommit(revision)) {
    const folder = folderOf(reference, revision)
    if (await isWhole(folder)) return { folder, path }
  }
  const hub = await load()
  const commit = await commitOf(hub, path, reference)
  const folder = folderOf(reference, commit)
  const done = { folder, path: `${PREFIX}${repo}@${commit}` }
  if (await isWhole(folder)) return done
  const listed = await list(hub, path, repo, commit)
  for (const needed of NAMES.slice(0, 2))
    if (!listed.some(({ name }) => name === needed))
      Failure.raise(
        "NoModel",
        `the repository has no ${needed}: it was not made by \`adafm export --hub\`. Download its checkpoint and make a model folder of it with \`adafm import\``,
        { file: path },
      )
  const temporary = `${folder}.tmp-${process.pid}`
  try {
    await mkdir(temporary, { recursive: true })
    const files: Record<string, string> = {}
    for (const file of listed)
      files[file.name] = await fetchFile(hub, path, { repo, commit }, file, join(temporary, file.name))
    const pins: z.input<typeof Pins> = { repo, commit, files }
    await Failure.orThrow(Files.write(join(temporary, PINS), `${JSON.stringify(pins, null, 2)}\n`))
    await rm(folder, { recursive: true, force: true })
    await mkdir(dirname(folder), { recursive: true })
    await rename(temporary, folder)
  } catch (thrown) {
    await rm(temporary, { recursive: true, force: true })
    throw thrown
  }
  return done
}
