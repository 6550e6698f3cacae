/**
 * Serves the studio's page and the runs of a folder, and starts trainings, on 127.0.0.1 only. A page of another site cannot use it: requests
 * with a foreign `Host` (a rebound DNS name) or a foreign `Origin` are refused.
 */
import { createReadStream, createWriteStream } from "node:fs"
import { mkdir, readdir, rm, stat } from "node:fs/promises"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { extname, join } from "node:path"
import { pipeline } from "node:stream/promises"
import { Failure } from "@adafm/core"
import * as NativeTransfer from "./NativeTransfer.ts"

export interface Options {
  /** The folder with the built page. */
  readonly site: string
  /** The folder with the bundled models, which the page fetches from `builtin/`: they are not part of the published page. */
  readonly models: string
  /** The folder whose runs the page lists. */
  readonly runs: string
  /** 0 takes any free port. */
  readonly port: number
  /** Starts a training in a process of its own. */
  readonly train: (training: NativeTransfer.Training) => void
}

export interface Serving {
  readonly address: string
  readonly close: () => Promise<void>
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".jsonl": "application/x-ndjson",
  ".wasm": "application/wasm",
  ".png": "image/png",
}

/** Threads of WebAssembly share memory, which browsers allow to isolated pages only. */
const HEADERS: Readonly<Record<string, string>> = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
}

/** What of a run folder is served. */
const RUN_FILES = /^(config\.json|(stats|metric)\.jsonl|samples-\d{8}\.png|checkpoints\/\d{8}\.safetensors)$/
/** A folder's name, without parts that could leave its parent. */
const NAME = /^[^/\\\0]+$/

const isName = (name: string): boolean => NAME.test(name) && name !== "." && name !== ".."

const refuse = (response: ServerResponse, status: number, message: string): void => {
  response.writeHead(status, { ...HEADERS, "content-type": "text/plain; charset=utf-8" }).end(message)
}

const sendFile = async (request: IncomingMessage, response: ServerResponse, file: string): Promise<void> => {
  const found = await stat(file).catch(() => undefined)
  if (found === undefined || !found.isFile()) return refuse(response, 404, "not found")
  response.writeHead(200, {
    ...HEADERS,
    "content-type": TYPES[extname(file)] ?? "application/octet-stream",
    "content-length": found.size,
  })
  if (request.method === "HEAD") response.end()
  else
    createReadStream(file)
      .on("error", () => response.destroy())
      .pipe(response)
}

const sendJson = (response: ServerResponse, value: unknown): void => {
  response.writeHead(200, { ...HEADERS, "content-type": "application/json" }).end(JSON.stringify(value))
}

/** The files of one run that a page may read. */
const filesOf = async (folder: string): Promise<readonly string[]> => {
  const names = await readdir(folder).catch(() => [])
  const checkpoints = await readdir(join(folder, "checkpoints")).catch(() => [])
  return [...names, ...checkpoints.map((name) => `checkpoints/${name}`)].filter((name) => RUN_FILES.test(name))
}

const runsOf = async (
  runs: string,
): Promise<readonly { readonly name: string; readonly files: readonly string[]; readonly changed: number }[]> => {
  const found = []
  for (const name of await readdir(runs).catch(() => [])) {
    const files = await filesOf(join(runs, name))
    if (!files.includes("config.json")) continue
    const { mtimeMs } = await stat(join(runs, name))
    found.push({ name, files, changed: mtimeMs })
  }
  return found.sort((a, b) => b.changed - a.changed)
}

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** Bytes of the photographs of one training, as a zip. */
const MAX_PHOTOGRAPHS = 4e9

/** Writes the zip of photographs next to the run that will learn them, and starts the training. */
const begin = async (request: IncomingMessage, response: ServerResponse, { runs, train }: Options): Promise<void> => {
  const given = Object.fromEntries(new URL(request.url ?? "/", "http://localhost").searchParams)
  const asked = NativeTransfer.Asked.safeParse(given)
  if (!asked.success) return refuse(response, 400, Failure.ofIssues(asked.error.issues, given))
  if (Number(request.headers["content-length"] ?? Number.POSITIVE_INFINITY) > MAX_PHOTOGRAPHS)
    return refuse(response, 413, `the photographs have more than ${MAX_PHOTOGRAPHS / 1e9} GB`)
  const { name } = asked.data
  const out = join(runs, name)
  if ((await stat(out).catch(() => undefined)) !== undefined)
    return refuse(response, 409, `there is a run ${name} already`)
  const data = `${out}.photographs.zip`
  await mkdir(runs, { recursive: true })
  try {
    await pipeline(request, createWriteStream(data, { flags: "wx" }))
  } catch (thrown) {
    await rm(data, { force: true })
    throw thrown
  }
  train({ ...asked.data, data, out })
  return sendJson(response, { name })
}

const answer = async (request: IncomingMessage, response: ServerResponse, options: Options): Promise<void> => {
  const { site, models, runs } = options
  const path = decoded(new URL(request.url ?? "/", "http://localhost").pathname)
  if (path === undefined) return refuse(response, 400, "the address is not well-formed")
  const parts = path.split("/").filter((part) => part !== "")
  if (!parts.every(isName)) return refuse(response, 400, "the address leaves the folder")
  if (parts[0] === "builtin") return sendFile(request, response, join(models, ...parts.slice(1)))
  if (parts[0] !== "api")
    return sendFile(request, response, join(site, ...(parts.length === 0 ? ["index.html"] : parts)))
  const [, kind, name, ...rest] = parts
  if (kind === "transfers" && name === undefined && request.method === "POST") return begin(request, response, options)
  if (kind !== "runs") return refuse(response, 404, "not found")
  if (name === undefined) return sendJson(response, await runsOf(runs))
  const file = rest.join("/")
  if (!RUN_FILES.test(file)) return refuse(response, 404, "not found")
  return sendFile(request, response, join(runs, name, file))
}

/** Whether the request was meant for this server and comes from its own page. */
const isOwn = ({ headers: { host, origin } }: IncomingMessage, port: number): boolean => {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`]
  return hosts.includes(host ?? "") && (origin === undefined || hosts.some((own) => origin === `http://${own}`))
}

const listening = (server: Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === "EADDRINUSE"
          ? new Failure.Raised(
              Failure.make("PortInUse", `port ${port} is in use by another program: give another with --port`),
            )
          : cause,
      ),
    )
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
  })

export const open = async (options: Options): Promise<Serving> => {
  let port = options.port
  const server = createServer((request, response) => {
    if (!isOwn(request, port)) return refuse(response, 403, "this server answers only its own page")
    const reads = request.method === "GET" || request.method === "HEAD"
    if (!reads && request.method !== "POST") return refuse(response, 405, "only GET, HEAD and POST")
    // a form of another site may come without an Origin; the page that posts here has one
    if (!reads && request.headers.origin === undefined)
      return refuse(response, 403, "this server answers only its own page")
    answer(request, response, options).catch((thrown: unknown) =>
      refuse(response, 500, Failure.fromThrown(thrown).message),
    )
  })
  port = await listening(server, options.port)
  return {
    address: `http://127.0.0.1:${port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
