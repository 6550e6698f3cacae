/** Checks the relative links of all Markdown pages: the file exists, and the heading where the link names one. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const SKIPPED = new Set(["node_modules", "dist", "api", "runs", "fixtures"])

const pages = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return SKIPPED.has(entry.name) || entry.name.startsWith(".") ? [] : pages(path)
    return entry.name.endsWith(".md") ? [path] : []
  })

/** GitHub's anchor for a heading. */
const anchor = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .trim()
    .replaceAll(" ", "-")

const prose = (markdown) =>
  markdown.replace(/^```[\s\S]*?^```$/gm, "").replace(/`[^`\n]*`/g, (code) => code.slice(1, -1))
const anchors = (file) =>
  new Set([...prose(readFileSync(file, "utf8")).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchor(heading)))

/** @returns {string[]} one line per broken link: `page: link` */
export const broken = () =>
  pages(root).flatMap((page) =>
    [...prose(readFileSync(page, "utf8")).matchAll(/\]\(([^()\s]+)\)/g)]
      .map(([, link]) => link)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [path, heading] = link.split("#")
        const target = path === "" ? page : resolve(dirname(page), path)
        if (!existsSync(target)) return true
        return heading !== undefined && !(statSync(target).isFile() && anchors(target).has(heading))
      })
      .map((link) => `${relative(root, page)}: ${link}`),
  )

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lines = broken()
  for (const line of lines) console.error(`broken link in ${line}`)
  process.exitCode = lines.length === 0 ? 0 : 1
}
