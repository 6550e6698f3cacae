import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import * as NativeTransfer from "../src/studio/NativeTransfer.ts"
import * as StudioServer from "../src/studio/StudioServer.ts"

const folder = mkdtempSync(join(tmpdir(), "adafm-server-"))
const [site, models, runs] = [join(folder, "site"), join(folder, "models"), join(folder, "runs")]
const started: NativeTransfer.Training[] = []
let server: StudioServer.Serving
beforeAll(async () => {
  mkdirSync(site)
  mkdirSync(join(runs, "one", "checkpoints"), { recursive: true })
  writeFileSync(join(site, "index.html"), "page")
  mkdirSync(join(models, "small"), { recursive: true })
  writeFileSync(join(models, "small", "model.json"), "{}")
  writeFileSync(join(folder, "secret.txt"), "secret")
  writeFileSync(join(runs, "one", "config.json"), "{}")
  writeFileSync(join(runs, "one", "stats.jsonl"), '{"step":0}\n')
  writeFileSync(join(runs, "one", "private.txt"), "secret")
  server = await StudioServer.open({ site, models, runs, port: 0, train: (training) => started.push(training) })
})
afterAll(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** `fetch` normalises paths and sets `Host` and `Origin` itself, so it cannot ask what an attacker asks. */
const ask = (path: string, headers: Record<string, string> = {}, method = "GET", body = ""): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.address)
    const asked = request({ hostname, port, path, method, headers }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (part) => {
        text += part
      })
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body: text }))
    })
    asked.on("error", reject).end(body)
  })

test("the page is served isolated, so that WebAssembly has threads", async () => {
  const { status, headers, body } = await ask("/")
  expect([status, body]).toEqual([200, "page"])
  expect(headers["cross-origin-opener-policy"]).toBe("same-origin")
  expect(headers["cross-origin-embedder-policy"]).toBe("require-corp")
})

test("the bundled models are served from their own folder, and nothing beside them", async () => {
  expect((await ask("/builtin/small/model.json")).body).toBe("{}")
  expect((await ask("/builtin/small/other.json")).status).toBe(404)
  for (const path of ["/builtin/../secret.txt", "/builtin/%2e%2e/secret.txt", "/builtin/..%2fsecret.txt", "/builtin"])
    expect((await ask(path)).body).not.toContain("secret")
})

test("the runs of the folder are listed with the files that a page may read", async () => {
  type Listed = { readonly name: string; readonly files: string[] }
  const [one] = JSON.parse((await ask("/api/runs")).body) as readonly Listed[]
  expect(one!.name).toBe("one")
  expect(one!.files.sort()).toEqual(["config.json", "stats.jsonl"])
  expect((await ask("/api/runs/one/stats.jsonl")).body).toBe('{"step":0}\n')
})

test.each([
  "/../secret.txt",
  "/%2e%2e/secret.txt",
  "/..%2fsecret.txt",
  "/api/runs/one/private.txt",
  "/api/runs/..%2f..%2fsecret.txt/config.json",
  "/api/runs/one/../../../secret.txt",
  "/api/runs/one/checkpoints/..%2f..%2fprivate.txt",
  "/%00",
  "/%zz",
])("%s leaves the folders and is refused", async (path) => {
  const { status, body } = await ask(path)
  expect(status).toBeGreaterThanOrEqual(400)
  expect(body).not.toContain("secret")
})

test("another site, or a name that was rebound to this address, is refused", async () => {
  const { host } = new URL(server.address)
  expect((await ask("/api/runs", { host: "evil.example" })).status).toBe(403)
  expect((await ask("/api/runs", { host, origin: "https://evil.example" })).status).toBe(403)
  expect((await ask("/api/runs", { host, origin: `http://${host}` })).status).toBe(200)
  expect((await ask("/api/transfers?name=a&source=builtin:b", { host }, "POST")).status).toBe(403)
})

test("a training starts with checked settings and the photographs that were sent", async () => {
  const { host } = new URL(server.address)
  const own = { host, origin: `http://${host}` }
  const post = (query: string) => ask(`/api/transfers?${query}`, { ...own, "content-length": "3" }, "POST", "zip")
  expect((await post("name=mine&source=builtin:cifar32&steps=5")).status).toBe(200)
  expect(started).toHaveLength(1)
  expect(existsSync(started[0]!.data)).toBe(true)
  expect(NativeTransfer.argumentsOf(started[0]!)).toEqual([
    ...["transfer", "--source", "builtin:cifar32", "--data", join(runs, "mine.photographs.zip"), "--out"],
    ...[join(runs, "mine"), "--steps", "5"],
  ])
  for (const query of [
    "name=..&source=builtin:cifar32",
    "name=a&source=/etc",
    "name=a&source=builtin:x&steps=-1",
    "name=a&source=builtin:x&out=/tmp",
  ])
    expect((await post(query)).status).toBe(400)
  expect((await post("name=one&source=builtin:cifar32")).status).toBe(409)
  expect(started).toHaveLength(1)
})
