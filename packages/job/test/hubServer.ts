/** A server on 127.0.0.1 that speaks the part of the Hub's API which pushing and fetching a model need, with a repository in memory. */
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export const TOKEN = "hf_test"

interface Stored {
  bytes: Buffer
  readonly isLarge: boolean
}

export interface Hub {
  readonly url: string
  /** Commits from old to new. */
  readonly commits: readonly { readonly oid: string; readonly files: Map<string, Stored> }[]
  /** `METHOD /path` of every request. */
  readonly requests: string[]
  /** Called before the content of a file is sent. */
  beforeFile: () => void
  readonly close: () => Promise<void>
}

const body = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const gitOid = (bytes: Buffer): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex")
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex")

export const start = async (repo = "me/flowers"): Promise<Hub> => {
  const commits: { oid: string; files: Map<string, Stored> }[] = []
  const objects = new Map<string, Buffer>()
  const requests: string[] = []
  let exists = false
  const json = (response: ServerResponse, value: unknown, status = 200): void => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value))
  }
  const at = (revision: string) =>
    ["main", "HEAD"].includes(revision) ? commits.at(-1) : commits.find(({ oid }) => oid === revision)

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = "GET", headers } = request
    const path = decodeURIComponent((request.url ?? "/").replace(/\?.*/, ""))
    requests.push(`${method} ${path}`)
    const isWrite = method !== "GET"
    if (isWrite && headers.authorization !== `Bearer ${TOKEN}` && !path.startsWith("/lfs/"))
      return json(response, { error: "Invalid username or password." }, 401)
    if (path === "/api/repos/create") {
      if (exists) return json(response, { error: "You already created this model repo" }, 409)
      exists = true
      return json(response, { url: `http://hub/${repo}`, id: "1" })
    }
    if (path === `/api/models/${repo}/preupload/main`) {
      const { files } = JSON.parse(String(await body(request))) as { files: { path: string }[] }
      const mode = ({ path: name }: { path: string }) => (/\.(safetensors|onnx|png)$/.test(name) ? "lfs" : "regular")
      return json(response, { files: files.map((file) => ({ path: file.path, uploadMode: mode(file) })) })
    }
    if (path === `/${repo}.git/info/lfs/objects/batch`) {
      const asked = JSON.parse(String(await body(request))) as { objects: { oid: string; size: number }[] }
      const href = (oid: string) => `http://${headers.host}/lfs/${oid}`
      return json(response, {
        transfer: "basic",
        objects: asked.objects.map(({ oid, size }) => ({ oid, size, actions: { upload: { href: href(oid) } } })),
      })
    }
    if (path.startsWith("/lfs/") && method === "PUT") {
      const bytes = await body(request)
      if (sha256(bytes) !== path.slice(5)) return json(response, { error: "wrong hash" }, 400)
      objects.set(path.slice(5), bytes)
      return json(response, {})
    }
    if (path === `/api/models/${repo}/commit/main`) {
      const files = new Map(commits.at(-1)?.files)
      for (const line of String(await body(request)).split("\n")) {
        const { key, value } = JSON.parse(line) as { key: string; value: Record<string, string> }
        if (key === "file") files.set(value.path!, { bytes: Buffer.from(value.content!, "base64"), isLarge: false })
        if (key === "lfsFile") files.set(value.path!, { bytes: objects.get(value.oid!)!, isLarge: true })
      }
      const oid = createHash("sha1").update(`commit ${commits.length}`).digest("hex")
      commits.push({ oid, files })
      return json(response, { commitOid: oid, commitUrl: `http://hub/${repo}/commit/${oid}`, success: true })
    }
    const info = new RegExp(`^/api/models/${repo}/revision/(.+)$`).exec(path)
    const tree = new RegExp(`^/api/models/${repo}/tree/([^/]+)$`).exec(path)
    const file = new RegExp(`^/${repo}/resolve/([^/]+)/(.+)$`).exec(path)
    const commit = at((info ?? tree ?? file)?.[1] ?? "")
    if (commit === undefined) return json(response, { error: "Repository not found" }, 404)
    if (info !== null) return json(response, { _id: "1", id: repo, sha: commit.oid, lastModified: 0 })
    if (tree !== null)
      return json(
        response,
        [...commit.files].map(([name, { bytes, isLarge }]) => ({
          type: "file",
          path: name,
          size: bytes.length,
          oid: gitOid(bytes),
          ...(isLarge && { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } }),
        })),
      )
    hub.beforeFile()
    const found = commit.files.get(file![2]!)
    if (found === undefined) {
      response.writeHead(404, { "x-error-code": "EntryNotFound" }).end()
      return
    }
    const range = /^bytes=(\d+)-(\d+)?$/.exec(headers.range ?? "")
    const [from, to] = [Number(range?.[1] ?? 0), Number(range?.[2] ?? found.bytes.length - 1)]
    const part = found.bytes.subarray(from, to + 1)
    response
      .writeHead(range === null ? 200 : 206, {
        etag: `"${gitOid(found.bytes)}"`,
        "content-length": part.length,
        ...(range !== null && { "content-range": `bytes ${from}-${to}/${found.bytes.length}` }),
      })
      .end(part)
  }
  const server = createServer((request, response) => {
    handle(request, response).catch((error: Error) => json(response, { error: error.message }, 500))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const hub: Hub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    commits,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
    beforeFile: () => {},
  }
  return hub
}
