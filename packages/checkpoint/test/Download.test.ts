import { createHash } from "node:crypto"
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, expect, test } from "vitest"
import * as Download from "../src/download/Download.ts"
import * as PublishedWeights from "../src/download/PublishedWeights.ts"

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
    licence: "none",
    url: `${base}/weights.pt`,
    sha256,
    file: "weights.pt",
    maxBytes: 200_000,
  }
  return { cache, asset, file: join(cache, "weights.pt"), part: join(cache, "weights.pt.part") }
}

/** The first byte that a request asks for. */
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
  const fetched = await Download.fetchAsset(asset, { pause: 1, cache, onProgress: (p) => seen.push(p) })()
  expect(fetched).toEqual({
    _tag: "Right",
    right: { name: "test", file, sha256, bytes: 100_000, cached: false, pin: "published" },
  })
  expect(seen.at(-1)).toEqual({ bytes: 100_000, total: 100_000 })
  expect(await Download.fetchAsset(asset, { pause: 1, cache, offline: true })()).toMatchObject({
    right: { cached: true },
  })
  expect(requests).toBe(1)
})

test("a download whose connection breaks is resumed where it broke", async () => {
  const starts: number[] = []
  const base = await serve((request, response, count) => {
    starts.push(startOf(request))
    if (count > 1) return send(request, response)
    response.writeHead(count === 0 ? 200 : 206, {
      "content-length": 100_000 - startOf(request),
      "content-range": `bytes ${startOf(request)}-99999/100000`,
    })
    response.write(content.subarray(startOf(request), startOf(request) + 30_000), () =>
      setTimeout(() => response.destroy(), 500),
    )
  })
  const { cache, asset, file, part } = setting(base)
  expect(await Download.fetchAsset(asset, { pause: 1, cache })()).toMatchObject({ right: { sha256 } })
  expect(starts[0]).toBe(0)
  expect(starts.at(-1)).toBeGreaterThan(0)
  expect(readFileSync(file).equals(content)).toBe(true)
  expect(existsSync(part)).toBe(false)
})

test("after the last broken attempt the partial file stays for the next call, and there is no file", async () => {
  const base = await serve((_, response) => {
    response.writeHead(200, { "content-length": 100_000 })
    response.write(content.subarray(0, 10_000), () => response.destroy())
  })
  const { cache, asset, file, part } = setting(base)
  expect(await Download.fetchAsset(asset, { pause: 1, cache, attempts: 2 })()).toMatchObject({
    left: { _tag: "DownloadFailed", file: part },
  })
  expect(existsSync(file)).toBe(false)
})

test("a server that ignores ranges sends the whole file again", async () => {
  const base = await serve((_, response) => response.writeHead(200).end(content))
  const { cache, asset, part } = setting(base)
  writeFileSync(part, content.subarray(0, 5000))
  expect(await Download.fetchAsset(asset, { pause: 1, cache })()).toMatchObject({ right: { bytes: 100_000, sha256 } })
})

test("a partial file that belongs to another download is deleted and fetched once more", async () => {
  const base = await serve((request, response) => send(request, response))
  const { cache, asset, part } = setting(base)
  writeFileSync(part, new Uint8Array(5000).fill(9))
  expect(await Download.fetchAsset(asset, { pause: 1, cache })()).toMatchObject({ right: { sha256 } })
})

test("a download with wrong bytes is refused and deleted", async () => {
  const base = await serve((request, response) => send(request, response, content.with(77, 0)))
  const { cache, asset, file, part } = setting(base)
  expect(await Download.fetchAsset(asset, { pause: 1, cache })()).toMatchObject({ left: { _tag: "WrongHash" } })
  expect([existsSync(file), existsSync(part)]).toEqual([false, false])
})

test("a file shorter than its hash, or longer than the limit, is refused", async () => {
  const short = await serve((request, response, count) => {
    if (count > 0) return send(request, response)
    response.writeHead(200, { "content-length": 60_000 }).end(content.subarray(0, 60_000))
  })
  const a = setting(short)
  expect(await Download.fetchAsset(a.asset, { pause: 1, cache: a.cache })()).toMatchObject({
    left: { _tag: "WrongHash" },
  })
  expect(existsSync(a.file)).toBe(false)
  const endless = await serve((_, response) => {
    response.writeHead(200)
    const more = (): void => void (response.destroyed || response.write(content, more))
    more()
  })
  const b = setting(endless)
  expect(await Download.fetchAsset(b.asset, { pause: 1, cache: b.cache })()).toMatchObject({
    left: { _tag: "TooLarge" },
  })
})

test("redirects are followed, but not endlessly and not to file addresses", async () => {
  const base = await serve((request, response) => {
    if (request.url === "/weights.pt") return void response.writeHead(302, { location: "/elsewhere" }).end()
    send(request, response)
  })
  const a = setting(base)
  expect(await Download.fetchAsset(a.asset, { pause: 1, cache: a.cache })()).toMatchObject({ right: { sha256 } })
  const loop = setting(await serve((_, response) => void response.writeHead(302, { location: "/" }).end()))
  expect(await Download.fetchAsset(loop.asset, { pause: 1, cache: loop.cache })()).toMatchObject({
    left: { _tag: "BadRedirect" },
  })
  const local = setting(
    await serve((_, response) => void response.writeHead(302, { location: "file:///etc/passwd" }).end()),
  )
  expect(await Download.fetchAsset(local.asset, { pause: 1, cache: local.cache })()).toMatchObject({
    left: { _tag: "BadRedirect" },
  })
})

test("a server error is retried, a missing file is not, a silent server is abandoned", async () => {
  const busy = setting(
    await serve((request, response, count) =>
      count === 0 ? void response.writeHead(503).end() : send(request, response),
    ),
  )
  expect(await Download.fetchAsset(busy.asset, { pause: 1, cache: busy.cache })()).toMatchObject({ right: { sha256 } })
  const gone = setting(await serve((_, response) => void response.writeHead(404).end()))
  expect(await Download.fetchAsset(gone.asset, { pause: 1, cache: gone.cache })()).toMatchObject({
    left: { _tag: "DownloadRefused" },
  })
  const silent = setting(await serve(() => undefined))
  expect(
    await Download.fetchAsset(silent.asset, { pause: 1, cache: silent.cache, attempts: 1, stallTimeout: 50 })(),
  ).toMatchObject({
    left: { _tag: "DownloadFailed", message: expect.stringContaining("no byte arrived for 50 ms") },
  })
})

test("offline names the missing file, a damaged cached file is refused, a mirror replaces the publisher", async () => {
  const base = await serve((request, response) =>
    request.url === "/mirror/weights.pt" ? send(request, response) : void response.writeHead(404).end(),
  )
  const { cache, asset, file } = setting(base)
  expect(await Download.fetchAsset(asset, { pause: 1, cache, offline: true })()).toMatchObject({
    left: { _tag: "Offline", file },
  })
  expect(await Download.fetchAsset(asset, { pause: 1, cache, mirror: `${base}/mirror/` })()).toMatchObject({
    right: { sha256 },
  })
  writeFileSync(file, "damaged")
  expect(await Download.fetchAsset(asset, { pause: 1, cache })()).toMatchObject({ left: { _tag: "WrongHash", file } })
})

test("if the publisher pins eight digits, the first download is recorded and every later file must equal it", async () => {
  let bytes = content
  const base = await serve((request, response) => send(request, response, bytes))
  const { cache, asset, file } = setting(base)
  const short = { ...asset, sha256: sha256.slice(0, 8) }
  const fetch = (options: Download.Options = {}) => Download.fetchAsset(short, { pause: 1, cache, ...options })()
  expect(await fetch()).toMatchObject({ right: { sha256, pin: "digits", cached: false } })
  expect(readFileSync(`${file}.sha256`, "utf8")).toBe(`${sha256}  weights.pt\n`)
  expect(await fetch()).toMatchObject({ right: { pin: "recorded", cached: true } })
  // the hash of another file that begins with the same digits
  const other = "0".repeat(56)
  writeFileSync(`${file}.sha256`, `${short.sha256}${other}  weights.pt\n`)
  expect(await fetch()).toMatchObject({
    left: { _tag: "WrongHash", message: expect.stringContaining(`but the recorded one is ${short.sha256}${other}`) },
  })
  rmSync(file)
  expect(await fetch()).toMatchObject({ left: { _tag: "WrongHash" } })
  expect(existsSync(file)).toBe(false)
  writeFileSync(`${file}.sha256`, "?")
  expect(await fetch()).toMatchObject({ left: { _tag: "BadReceipt", file: `${file}.sha256` } })
  rmSync(`${file}.sha256`)
  bytes = content.with(5, 0)
  expect(await fetch()).toMatchObject({ left: { _tag: "WrongHash" } })
  expect(existsSync(`${file}.sha256`)).toBe(false)
})

test("a hash given by the user is checked against the published one, the cached file and the download", async () => {
  const base = await serve((request, response) => send(request, response))
  const { cache, asset, file } = setting(base)
  const short = { ...asset, sha256: sha256.slice(0, 8) }
  const fetch = (given: string, of = short) => Download.fetchAsset(of, { pause: 1, cache, sha256: given })()
  expect(await fetch("abc")).toMatchObject({ left: { _tag: "BadHash" } })
  expect(await fetch("0".repeat(64))).toMatchObject({
    left: { _tag: "WrongHash", message: expect.stringContaining("given") },
  })
  expect(await fetch("0".repeat(64), asset)).toMatchObject({ left: { _tag: "WrongHash" } })
  expect(await fetch(`${short.sha256}${"0".repeat(56)}`)).toMatchObject({ left: { _tag: "WrongHash" } })
  expect(existsSync(file)).toBe(false)
  expect(await fetch(sha256.toUpperCase())).toMatchObject({ right: { pin: "given", cached: false } })
  expect(await fetch(`${short.sha256}${"0".repeat(56)}`)).toMatchObject({ left: { _tag: "WrongHash", file } })
})

test("a file put into the cache by hand is checked against the pin and recorded", async () => {
  const { cache, asset, file } = setting("http://127.0.0.1:1")
  const short = { ...asset, sha256: sha256.slice(0, 8) }
  writeFileSync(file, content)
  expect(await Download.fetchAsset(short, { cache, offline: true })()).toMatchObject({ right: { pin: "digits" } })
  expect(readFileSync(`${file}.sha256`, "utf8")).toContain(sha256)
  writeFileSync(file, content.with(9, 1))
  expect(await Download.fetchAsset(short, { cache, offline: true })()).toMatchObject({ left: { _tag: "WrongHash" } })
})

test("an error of the disk is not retried", async () => {
  let requests = 0
  const base = await serve((request, response) => {
    requests++
    send(request, response)
  })
  const { cache, asset, part } = setting(base)
  mkdirSync(part)
  expect(await Download.fetchAsset(asset, { pause: 1, cache })()).toMatchObject({
    left: { _tag: expect.stringMatching(/^System\.E/) },
  })
  expect(requests).toBeLessThanOrEqual(1)
})

test("a server that drips is abandoned, and a download has a time limit in all", async () => {
  const dripping = async (every: number) =>
    setting(
      await serve((_, response) => {
        response.writeHead(200, { "content-length": 100_000 })
        const timer = setInterval(() => response.write("x"), every)
        response.on("close", () => clearInterval(timer))
      }),
    )
  const slow = await dripping(5)
  const abandoned = await Download.fetchAsset(slow.asset, { cache: slow.cache, attempts: 1, stallTimeout: 200 })()
  expect(abandoned).toMatchObject({
    left: { _tag: "DownloadFailed", message: expect.stringMatching(/only \d+ bytes arrived for 200 ms/) },
  })
  const long = await dripping(1)
  const limited = await Download.fetchAsset(long.asset, { pause: 1, cache: long.cache, leastRate: 1, timeLimit: 100 })()
  expect(limited).toMatchObject({
    left: { _tag: "DownloadFailed", message: expect.stringContaining("the time limit was reached") },
  })
  expect(existsSync(long.part)).toBe(true)
})

test("HTTP 416 without a partial file is a refusal, and with a wrong one a new download", async () => {
  const never = setting(await serve((_, response) => void response.writeHead(416).end()))
  expect(await Download.fetchAsset(never.asset, { pause: 1, cache: never.cache })()).toMatchObject({
    left: { _tag: "DownloadRefused", message: expect.stringContaining("HTTP 416") },
  })
  const once = setting(
    await serve((request, response) =>
      startOf(request) > 0 ? void response.writeHead(416).end() : send(request, response),
    ),
  )
  writeFileSync(once.part, content.subarray(0, 10))
  expect(await Download.fetchAsset(once.asset, { pause: 1, cache: once.cache })()).toMatchObject({ right: { sha256 } })
})

test.each([
  { name: "ETag", headers: { etag: '"v1"' }, sent: '"v1"' },
  {
    name: "date",
    headers: { "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT" },
    sent: "Sun, 06 Nov 1994 08:49:37 GMT",
  },
  {
    name: "date, its ETag being weak",
    headers: { etag: 'W/"v"', "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT" },
    sent: "Sun, 06 Nov 1994 08:49:37 GMT",
  },
])("a resumed download names the version of its beginning by its $name", async ({ headers, sent }) => {
  const asked: unknown[] = []
  const { cache, asset, part } = setting(
    await serve((request, response, count) => {
      asked.push(request.headers["if-range"])
      if (count > 0) return send(request, response)
      response.writeHead(200, { "content-length": 100_000, ...headers })
      response.write(content.subarray(0, 30_000)) // and then nothing
    }),
  )
  expect(await Download.fetchAsset(asset, { pause: 1, cache, stallTimeout: 500 })()).toMatchObject({
    right: { sha256 },
  })
  expect(asked).toEqual([undefined, sent])
  expect(existsSync(`${part}.etag`)).toBe(false)
})

test("a download that is too large leaves no part, whether its size is announced or not", async () => {
  for (const length of [{ "content-length": 300_000 }, {}]) {
    const { cache, asset, part } = setting(
      await serve((_, response) => response.writeHead(200, length).end(new Uint8Array(300_000))),
    )
    expect(await Download.fetchAsset(asset, { pause: 1, cache })()).toMatchObject({ left: { _tag: "TooLarge" } })
    expect(existsSync(part)).toBe(false)
  }
})

test.skipIf(process.platform === "win32").each(["symbolic", "hard"])(
  "a partial file that is a %s link is not written through",
  async (kind) => {
    const { cache, asset, file, part } = setting(await serve((request, response) => send(request, response)))
    const other = join(cache, "other")
    writeFileSync(other, "precious")
    if (kind === "hard") linkSync(other, part)
    else symlinkSync(other, part)
    expect(await Download.fetchAsset(asset, { pause: 1, cache })()).toMatchObject({ right: { sha256 } })
    expect(readFileSync(other, "utf8")).toBe("precious")
    expect(lstatSync(file).isFile()).toBe(true)
  },
)

test("name and password of a mirror go to the mirror alone, and are in no message", async () => {
  const seen: (string | undefined)[] = []
  const elsewhere = await serve((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(404).end()
  })
  const base = await serve((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(302, { location: `${elsewhere}/moved?signature=secret` }).end()
  })
  const { cache, asset } = setting(base)
  const fetch = (mirror: string) => Download.fetchAsset(asset, { pause: 1, cache, mirror, attempts: 1 })()
  const refused = [
    await fetch(`${base.replace("//", "//me:p%40ss@")}/folder`),
    await fetch("http://me:p%40ss@127.0.0.1:1/folder"),
    await fetch("http://me:p%40ss@"),
    await fetch("file:///me:p%40ss/folder"),
  ]
  expect(refused.map((either) => "left" in either && either.left._tag)).toEqual([
    "DownloadRefused",
    "DownloadFailed",
    "BadAddress",
    "BadAddress",
  ])
  expect(JSON.stringify(refused)).not.toMatch(/p%40ss|p@ss|secret/)
  expect(seen).toEqual([`Basic ${Buffer.from("me:p@ss").toString("base64")}`, undefined])
})

test("two calls for the same file at once send one request, and both have the file", async () => {
  let requests = 0
  const base = await serve((request, response) => {
    requests++
    setTimeout(() => send(request, response), 100)
  })
  const { cache, asset } = setting(base)
  const both = await Promise.all([0, 1].map(() => Download.fetchAsset(asset, { pause: 1, cache })()))
  expect(both).toMatchObject([{ right: { sha256 } }, { right: { sha256 } }])
  expect(requests).toBe(1)
})

test("every published asset is pinned", () => {
  for (const { url, sha256, file } of PublishedWeights.all) {
    expect(new URL(url).protocol).toBe("https:")
    expect(sha256).toMatch(/^([0-9a-f]{8}|[0-9a-f]{64})$/)
    expect(file).toMatch(/^[\w.-]+$/)
  }
  const whole = PublishedWeights.all.filter(({ sha256 }) => sha256.length === 64).map(({ name }) => name)
  expect(whole).toEqual(["inception", "inception-torchvision"])
  for (const { url, sha256 } of PublishedWeights.all) expect(url).toContain(`-${sha256.slice(0, 8)}.`)
  expect(PublishedWeights.find("gpgan-imagenet")?.url).toContain("imagenet-8c505f47.pt")
})
