/**
 * `pnpm site`: the docs site in docs/.vitepress/dist, the pages of the repository (VitePress) and the API reference (typedoc) together.
 * Addresses are relative, so that the pages can be read from the disk without a server; the search needs one (`pnpm site --serve`).
 */
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const site = join(root, "docs", ".vitepress", "dist")
const api = join(root, "docs", "api")

const run = (command, ...args) => {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", shell: process.platform === "win32" })
  return status === 0
}

/** The pages that people look for first; a site without one of them is not finished. */
const FIRST = [
  "index",
  "docs/install",
  "docs/photos",
  "docs/own-checkpoint",
  "docs/gpu",
  "docs/troubleshooting",
  "docs/tutorial",
  "packages/core/index",
  "api/index",
]

/** Makes the addresses of a page relative to it. */
const relink = (file) => {
  const up = relative(dirname(file), site).split(sep).join("/") || "."
  const text = readFileSync(file, "utf8")
  const own = text.replace(/(\s(?:href|src)=")\/(?!\/)([^"]*)"/g, (_, before, path) => {
    const [page = "", hash] = path.split("#")
    const end = hash === undefined ? "" : `#${hash}`
    const full =
      page === "" || page.endsWith("/") ? `${page}index.html` : existsSync(join(site, page)) ? page : `${page}.html`
    return `${before}${up}/${full}${end}"`
  })
  if (own !== text) writeFileSync(file, own)
}

/** Links of pages that lead to no file. */
const broken = (file) =>
  [...readFileSync(file, "utf8").matchAll(/\s(?:href|src)="([^"#?]+)[^"]*"/g)]
    .map(([, link]) => link)
    .filter((link) => !/^([a-z]+:|\/\/)/.test(link))
    .filter((link) => !existsSync(join(dirname(file), decodeURIComponent(link))))
    .map((link) => `${relative(site, file)}: ${link}`)

const pages = () =>
  readdirSync(site, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".html") && !name.startsWith(`api${sep}`))
    .map((name) => join(site, name))

/** @returns whether the site is built and whole */
export const build = () => {
  rmSync(site, { recursive: true, force: true })
  if (!run("vitepress", "build", "docs")) return false
  if (!existsSync(api) && !run("typedoc", "--logLevel", "Warn")) return false
  cpSync(api, join(site, "api"), { recursive: true })
  return finish()
}

/** Makes the addresses of the built pages relative, and checks them. */
export const finish = () => {
  const all = pages()
  for (const file of all) relink(file)
  const missing = FIRST.filter((name) => !existsSync(join(site, `${name}.html`)))
  const lost = all.flatMap(broken)
  for (const name of missing) console.error(`the site has no page ${name}`)
  for (const line of lost) console.error(`broken link in ${line}`)
  console.log(`${all.length} pages in ${relative(root, site)}`)
  return missing.length === 0 && lost.length === 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isWhole = build()
  process.exitCode = isWhole ? 0 : 1
  if (isWhole && process.argv.includes("--serve")) run("vitepress", "preview", "docs")
}
