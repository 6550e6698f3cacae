import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, expect, test } from "vitest"
import * as Assets from "../src/Assets.ts"
import * as Download from "../src/Download.ts"

const content = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7919) % 251)
const sha256 = createHash("sha256").update(content).digest("hex")

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

const serve = async (
  handler: (request: IncomingMessage, response: ServerResponse, count: number) => void,
): Promise<string> => {
  let count = 0
  const server = createServer((request, response) => handler(request, response, count++))
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const setting = (base: string) => {
  const cache = mkdtempSync(join(tmpdir(), "adafm-cache-"))
  const asset: Download.Asset = {
    name: "test",
    what: "",
    url: `${base}/weights.pt`,
    sha256,
    file: "weights.pt",
    maxBytes: 200_000,
  }
  return { cache, asset, file: join(cache, "weights.pt"), part: join(cache, "weights.pt.part") }
}

/** From where a request wants the file. */
const startOf = (request: IncomingMessage): number => Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0)

const send = (request: IncomingMessage, response: ServerResponse, bytes: Uint8Array = content): void => {
  const start = startOf(request)
  response.writeHead(start > 0 ? 206 : 200, {
    "content-length": bytes.length - start,
    ...(start > 0 && { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
  })
  response.end(bytes.subarray(start))
}

test("a file is fetched once, with progress, and then taken from the cache", async () => {
  let requests = 0
  const base = await serve((request, response) => {
    requests++
    send(request, response)
  })
  const { cache, asset, file } = setting(base)
  const seen: Download.Progress[] = []
  const fetched = await Download.fetchAsset(asset, { cache, onProgress: (p) => seen.push(p) })()
  expect(fetched).toEqual({ _tag: "Right", right: { name: "test", file, sha256, bytes: 100_000, cached: false } })
  expect(seen.at(-1)).toEqual({ bytes: 100_000, total: 100_000 })
  expect(await Download.fetchAsset(asset, { cache, offline: true })()).toMatchObject({ right: { cached: true } })
  expect(requests).toBe(1)
})

test("a connection that breaks is resumed where it broke", async () => {
  const starts: number[] = []
  const base = await serve((request, response, count) => {
    starts.push(startOf(request))
    if (count > 1) return send(request, response)
    response.writeHead(count === 0 ? 200 : 206, {
      "content-length": 100_000 - startOf(request),
      "content-range": `bytes ${startOf(request)}-99999/100000`,
    })
    response.write(content.subarray(startOf(request), startOf(request) + 30_000), () =>
      setTimeout(() => response.destroy(), 50),
    )
  })
  const { cache, asset, file, part } = setting(base)
  expect(await Download.fetchAsset(asset, { cache })()).toMatchObject({ right: { sha256 } })
  expect(starts[0]).toBe(0)
  expect(starts.at(-1)).toBeGreaterThan(0)
  expect(readFileSync(file).equals(content)).toBe(true)
  expect(existsSync(part)).toBe(false)
})

test("a server that breaks every time leaves the part for the next call and no file", async () => {
  const base = await serve((_, response) => {
    response.writeHead(200, { "content-length": 100_000 })
    response.write(content.subarray(0, 10_000), () => response.destroy())
  })
  const { cache, asset, file, part } = setting(base)
  expect(await Download.fetchAsset(asset, { cache, attempts: 2 })()).toMatchObject({
    left: { _tag: "DownloadFailed", file: part },
  })
  expect(existsSync(file)).toBe(false)
})

test("a server that ignores ranges sends the whole file again", async () => {
  const base = await serve((_, response) => response.writeHead(200).end(content))
  const { cache, asset, part } = setting(base)
  writeFileSync(part, content.subarray(0, 5000))
  expect(await Download.fetchAsset(asset, { cache })()).toMatchObject({ right: { bytes: 100_000, sha256 } })
})

test("a leftover part of another file is thrown away once", async () => {
  const base = await serve((request, response) => send(request, response))
  const { cache, asset, part } = setting(base)
  writeFileSync(part, new Uint8Array(5000).fill(9))
  expect(await Download.fetchAsset(asset, { cache })()).toMatchObject({ right: { sha256 } })
})

test("wrong bytes are refused and thrown away", async () => {
  const base = await serve((request, response) => send(request, response, content.with(77, 0)))
  const { cache, asset, file, part } = setting(base)
  expect(await Download.fetchAsset(asset, { cache })()).toMatchObject({ left: { _tag: "WrongHash" } })
  expect([existsSync(file), existsSync(part)]).toEqual([false, false])
})

test("a length that is a lie does not make a file", async () => {
  const short = await serve((request, response, count) => {
    if (count > 0) return send(request, response)
    response.writeHead(200, { "content-length": 60_000 }).end(content.subarray(0, 60_000))
  })
  const a = setting(short)
  expect(await Download.fetchAsset(a.asset, { cache: a.cache })()).toMatchObject({ left: { _tag: "WrongHash" } })
  expect(existsSync(a.file)).toBe(false)
  const endless = await serve((_, response) => {
    response.writeHead(200)
    const more = (): void => void (response.destroyed || response.write(content, more))
    more()
  })
  const b = setting(endless)
  expect(await Download.fetchAsset(b.asset, { cache: b.cache })()).toMatchObject({ left: { _tag: "TooLarge" } })
})

test("redirects are followed, but neither forever nor to files", async () => {
  const base = await serve((request, response) => {
    if (request.url === "/weights.pt") return void response.writeHead(302, { location: "/elsewhere" }).end()
    send(request, response)
  })
  const a = setting(base)
  expect(await Download.fetchAsset(a.asset, { cache: a.cache })()).toMatchObject({ right: { sha256 } })
  const loop = setting(await serve((_, response) => void response.writeHead(302, { location: "/" }).end()))
  expect(await Download.fetchAsset(loop.asset, { cache: loop.cache })()).toMatchObject({
    left: { _tag: "BadRedirect" },
  })
  const local = setting(
    await serve((_, response) => void response.writeHead(302, { location: "file:///etc/passwd" }).end()),
  )
  expect(await Download.fetchAsset(local.asset, { cache: local.cache })()).toMatchObject({
    left: { _tag: "BadRedirect" },
  })
})

test("a server error is tried again, a missing file is not, silence is given up", async () => {
  const busy = setting(
    await serve((request, response, count) =>
      count === 0 ? void response.writeHead(503).end() : send(request, response),
    ),
  )
  expect(await Download.fetchAsset(busy.asset, { cache: busy.cache })()).toMatchObject({ right: { sha256 } })
  const gone = setting(await serve((_, response) => void response.writeHead(404).end()))
  expect(await Download.fetchAsset(gone.asset, { cache: gone.cache })()).toMatchObject({
    left: { _tag: "DownloadRefused" },
  })
  const silent = setting(await serve(() => undefined))
  expect(
    await Download.fetchAsset(silent.asset, { cache: silent.cache, attempts: 1, stallTimeout: 50 })(),
  ).toMatchObject({
    left: { _tag: "DownloadFailed", message: expect.stringContaining("no byte") },
  })
})

test("offline names the file that is missing, a spoilt cache is not believed, a mirror stands in", async () => {
  const base = await serve((request, response) =>
    request.url === "/mirror/weights.pt" ? send(request, response) : void response.writeHead(404).end(),
  )
  const { cache, asset, file } = setting(base)
  expect(await Download.fetchAsset(asset, { cache, offline: true })()).toMatchObject({
    left: { _tag: "Offline", file },
  })
  expect(await Download.fetchAsset(asset, { cache, mirror: `${base}/mirror/` })()).toMatchObject({ right: { sha256 } })
  writeFileSync(file, "spoilt")
  expect(await Download.fetchAsset(asset, { cache })()).toMatchObject({ left: { _tag: "WrongHash", file } })
})

test("every published asset is pinned", () => {
  for (const { url, sha256, file } of Assets.all) {
    expect(new URL(url).protocol).toBe("https:")
    expect(sha256).toMatch(/^([0-9a-f]{8}|[0-9a-f]{64})$/)
    expect(file).toMatch(/^[\w.-]+$/)
  }
  expect(Assets.find("gpgan-imagenet")?.url).toContain("imagenet-8c505f47.pt")
})
