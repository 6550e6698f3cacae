/** The docs site: the pages of the repository as they are, with a search. `pnpm site` builds it; `scripts/site.mjs` adds the API reference. */
import { existsSync, statSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitepress"

const root = fileURLToPath(new URL("../../", import.meta.url))

const packages = [
  "onnx",
  "core",
  "checkpoint",
  "engine",
  "data",
  "gan",
  "adafm",
  "baselines",
  "transfer",
  "metrics",
  "report",
  "job",
  "cli",
]

interface Token {
  readonly attrs: [string, string][] | null
  readonly attrGet: (name: string) => string | null
  readonly attrSet: (name: string, value: string) => void
}

/** Where a relative link of a page leads on the site; undefined for a file of code, which has no page. */
const target = (page: string, link: string): string | undefined => {
  const [path = "", hash] = link.split("#")
  const end = hash === undefined ? "" : `#${hash}`
  if (path === "" || /^([a-z]+:|\/)/.test(path)) return link
  const file = join(root, dirname(page), path)
  if (!existsSync(file)) return link
  const own = relative(root, file).replaceAll("\\", "/")
  const folder = statSync(file).isDirectory() ? own : /(^|\/)README\.md$/.test(own) ? dirname(own) : undefined
  if (/(^|\/)(assets|test)\//.test(own)) return undefined
  if (folder === undefined) return /\.(md|png|svg|jpg)$/.test(path) ? link : undefined
  if (!existsSync(join(root, folder, "README.md"))) return undefined
  return folder === "." || folder === "" ? `/${end}` : `/${folder}/${end}`
}

export default defineConfig({
  title: "adafm",
  description: "Teach a pretrained image generator your own subject, from about a hundred images",
  srcDir: "..",
  srcExclude: [
    "**/node_modules/**",
    "**/dist/**",
    "**/assets/**",
    "**/test/**",
    "**/CHANGELOG.md",
    "runs/**",
    ".changeset/**",
    "docs/api/**",
    "site/**",
  ],
  rewrites: {
    "README.md": "index.md",
    "packages/:name/README.md": "packages/:name/index.md",
    "experiments/README.md": "experiments/index.md",
    "experiments/:name/README.md": "experiments/:name/index.md",
  },
  // scripts/docs.mjs checks the links of all pages
  ignoreDeadLinks: true,
  lastUpdated: false,
  markdown: {
    html: false,
    config: (md) => {
      // the pages are plain Markdown: braces in their text are no expressions of Vue
      md.renderer.rules.text = (tokens, index) =>
        md.utils.escapeHtml(tokens[index]!.content).replaceAll("{{", "&#123;&#123;")
      md.renderer.rules.code_inline = (tokens, index) =>
        `<code v-pre>${md.utils.escapeHtml(tokens[index]!.content)}</code>`
      const { link_open: before } = md.renderer.rules
      md.renderer.rules.link_open = (tokens, index, options, env: { relativePath?: string }, self) => {
        const token = tokens[index] as unknown as Token
        const found = target(env.relativePath ?? "", token.attrGet("href") ?? "")
        if (found === undefined) token.attrs = token.attrs?.filter(([name]) => name !== "href") as never
        else token.attrSet("href", found)
        return before?.(tokens, index, options, env, self) ?? self.renderToken(tokens, index, options)
      }
    },
  },
  themeConfig: {
    search: { provider: "local" },
    nav: [
      { text: "Install", link: "/docs/install" },
      { text: "First generator", link: "/docs/photos" },
      { text: "API", link: "/api/index.html", target: "_self" },
    ],
    outline: [2, 3],
    sidebar: [
      {
        text: "Begin",
        items: [
          { text: "What it is", link: "/" },
          { text: "Install", link: "/docs/install" },
          { text: "Your first generator", link: "/docs/photos" },
          { text: "Your own checkpoint", link: "/docs/own-checkpoint" },
          { text: "On a graphics card", link: "/docs/gpu" },
          { text: "Questions and troubles", link: "/docs/troubleshooting" },
        ],
      },
      {
        text: "Further",
        items: [
          { text: "A notebook in TypeScript", link: "/docs/tutorial" },
          { text: "In a program of your own", link: "/docs/program" },
          { text: "Reading a report", link: "/docs/reading-a-report" },
          { text: "Larger sizes", link: "/docs/larger-sizes" },
          { text: "Checkpoint formats", link: "/docs/checkpoints" },
          { text: "Plans", link: "/docs/plans" },
          { text: "The method", link: "/docs/method" },
          { text: "Precision", link: "/docs/precision" },
          { text: "Performance", link: "/docs/performance" },
        ],
      },
      {
        text: "Packages",
        collapsed: true,
        items: packages.map((name) => ({ text: `@adafm/${name}`, link: `/packages/${name}/` })),
      },
      {
        text: "Experiments",
        collapsed: true,
        items: [
          { text: "How they are made", link: "/experiments/" },
          { text: "Results", link: "/experiments/RESULTS" },
          { text: "Findings", link: "/experiments/FINDINGS" },
        ],
      },
      {
        text: "Contributing",
        collapsed: true,
        items: [
          { text: "How to", link: "/CONTRIBUTING" },
          { text: "Conventions", link: "/docs/conventions" },
          { text: "How the compiled step works", link: "/docs/compiled-step" },
        ],
      },
    ],
  },
})
