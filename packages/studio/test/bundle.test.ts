import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { brotliCompressSync, constants } from "node:zlib"
import { build } from "vite"
import { afterAll, beforeAll, expect, test } from "vitest"

const configFile = fileURLToPath(new URL("../vite.config.ts", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "adafm-studio-"))
const site = join(folder, "site")

beforeAll(() => build({ configFile, logLevel: "error", build: { outDir: site, emptyOutDir: true } }))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Megabytes of a file as a server sends it. Quality 5 is what servers compress with on the way; a static host does better. */
const sent = (file: string): number =>
  brotliCompressSync(readFileSync(file), { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }).length / 1e6

test("a page that trains on the processor is at most 8 MB over the wire, with the small source", () => {
  const assets = readdirSync(join(site, "assets")).filter((name) => !/^ort\.(jspi|webgpu)/.test(name))
  const files = [
    "index.html",
    ...assets.map((name) => join("assets", name)),
    "ort/ort-wasm-simd-threaded.mjs",
    "ort/ort-wasm-simd-threaded.wasm",
    ...["model.json", "generator.safetensors", "discriminator.safetensors"].map((name) =>
      join("builtin", "cifar32-small", name),
    ),
  ]
  const sizes = files.map((name) => [name, sent(join(site, name))] as const)
  const total = sizes.reduce((sum, [, size]) => sum + size, 0)
  const largest = [...sizes].sort((a, b) => b[1] - a[1]).slice(0, 6)
  console.log(`${total.toFixed(2)} MB: ${largest.map(([name, size]) => `${name} ${size.toFixed(2)}`).join(", ")}`)
  expect(total).toBeLessThan(8)
})

test("a module of Node in the page fails the build, and the message names who imports it", async () => {
  writeFileSync(join(folder, "index.html"), '<script type="module" src="./page.js"></script>')
  writeFileSync(join(folder, "page.js"), 'import { readFileSync } from "node:fs"\nconsole.log(readFileSync)\n')
  await expect(build({ configFile, root: folder, logLevel: "silent", build: { write: false } })).rejects.toThrow(
    /page\.js imports node:fs/,
  )
})

test("the page asks for nothing that a static host in a sub-folder does not have", () => {
  const html = readFileSync(join(site, "index.html"), "utf8")
  const addresses = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => address!)
  expect(addresses.filter((address) => !/^(\.\/|data:)/.test(address))).toEqual([])
  expect(html).toContain("connect-src 'self'")
})
