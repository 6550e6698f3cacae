/** A server that answers a download with everything but the file. */
import { existsSync } from "node:fs"
import { mkdir, readdir, rm } from "node:fs/promises"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { Download } from "@adafm/checkpoint"
import type { Trial } from "./Ledger.ts"

type Answer = (request: IncomingMessage, response: ServerResponse) => void

const bytes = Buffer.alloc(10_000, 7)

/** What the server does, by what it is called. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  "another file": (_, response) => response.end(bytes),
  "not found": (_, response) => response.writeHead(404).end("no"),
  "an error that lasts": (_, response) => response.writeHead(503).end(),
  "a page in place of the file": (_, response) =>
    response.writeHead(200, { "content-type": "text/html" }).end("<p>log in</p>"),
  "half of what it promises": (_, response) => {
    response.writeHead(200, { "content-length": bytes.length * 2 })
    response.write(bytes)
    response.destroy()
  },
  "more than it promises": (_, response) => {
    response.writeHead(200, { "content-length": 10 })
    response.socket?.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")
    response.socket?.end(bytes)
  },
  "a file without end": (_, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(1 << 16))) {}
      if (!response.destroyed) response.once("drain", more)
    }
    more()
  },
  "an endless redirect": (_, response) => response.writeHead(302, { location: "/again" }).end(),
  "a redirect to a file of this machine": (_, response) =>
    response.writeHead(302, { location: "file:///etc/passwd" }).end(),
  "no answer but a closed connection": (_, response) => response.destroy(),
  "bytes that are not HTTP": (_, response) => response.socket?.end("\0\0\0\0nonsense\r\n\r\n"),
  "a range that was not asked for": (_, response) =>
    response.writeHead(206, { "content-range": "bytes 5000-9999/10000" }).end(bytes.subarray(5000)),
  "a range that cannot be satisfied": (_, response) => response.writeHead(416).end(),
}

export const names = Object.keys(ANSWERS)

/** A download from the server: it must fail in words, leave nothing that counts as the file, and end. */
export const trial = async (number: number, folder: string): Promise<Trial> => {
  const name = names[number % names.length]!
  const [row, cache] = ["a hostile server", join(folder, "cache")]
  await rm(cache, { recursive: true, force: true })
  await mkdir(cache, { recursive: true })
  const server = createServer(ANSWERS[name])
  server.on("clientError", (_, socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/weights.pt`
  const asset: Download.Asset = {
    name: "test",
    what: "",
    licence: "",
    url,
    sha256: "0".repeat(64),
    file: "weights.pt",
    maxBytes: 50_000,
  }
  try {
    const result = await Download.fetchAsset(asset, { pause: 1, cache })()
    if (result._tag === "Right" || existsSync(join(cache, asset.file)))
      return { row, number, verdict: "unnoticed", detail: `${name}: ${(await readdir(cache)).join(", ")}` }
    const { _tag, message } = result.left
    return {
      row,
      number,
      verdict: _tag === "Unexpected" ? "unexpected" : "refused",
      detail: `${name}: ${_tag}, ${message}`,
    }
  } finally {
    server.closeAllConnections()
    server.close()
  }
}
