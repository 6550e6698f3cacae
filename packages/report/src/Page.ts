/**
 * A page as data: headings, paragraphs, tables, charts, pictures. It is rendered as one self-contained HTML file (phone and
 * desktop, light and dark), or as Markdown with pictures in separate files.
 */
import * as Chart from "./Chart.ts"
import * as PictureGrid from "./PictureGrid.ts"
import * as Table from "./Table.ts"

export interface Link {
  readonly text: string
  readonly link: string
}

export type Block =
  | { readonly kind: "heading"; readonly text: string }
  | { readonly kind: "text"; readonly text: string }
  /** A highlighted paragraph. */
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly string[] }
  /** Links with relative addresses. */
  | { readonly kind: "links"; readonly links: readonly Link[] }
  | { readonly kind: "code"; readonly text: string }
  | { readonly kind: "facts"; readonly facts: Readonly<Record<string, string | number>> }
  | ({ readonly kind: "table" } & Table.Table)
  | ({ readonly kind: "grid" } & PictureGrid.PictureGrid)
  | { readonly kind: "chart"; readonly chart: Chart.Chart }
  /** Blocks that are hidden until the reader opens them. `only: "html"` leaves them out of Markdown (very many pictures). */
  | {
      readonly kind: "details"
      readonly summary: string
      readonly blocks: readonly Block[]
      readonly only?: "html"
    }

export interface Page {
  readonly title: string
  readonly subtitle?: string
  /** Seconds after which a browser loads the page again, for a page that is written again while a run lives. */
  readonly refresh?: number
  readonly blocks: readonly Block[]
}

export const heading = (text: string): Block => ({ kind: "heading", text })
export const text = (text: string): Block => ({ kind: "text", text })
export const note = (text: string): Block => ({ kind: "note", text })
export const list = (items: readonly string[]): Block => ({ kind: "list", items })
export const links = (links: readonly Link[]): Block => ({ kind: "links", links })
export const code = (text: string): Block => ({ kind: "code", text })
export const facts = (facts: Readonly<Record<string, string | number>>): Block => ({ kind: "facts", facts })
export const table = (table: Table.Table): Block => ({ kind: "table", ...table })
export const grid = (grid: PictureGrid.PictureGrid): Block => ({ kind: "grid", ...grid })
export const chart = (chart: Chart.Chart): Block => ({ kind: "chart", chart })
export const details = (summary: string, blocks: readonly Block[], only?: "html"): Block => ({
  kind: "details",
  summary,
  blocks,
  ...(only !== undefined && { only }),
})

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
}
export const escaped = (s: string): string => s.replace(/[&<>"']/g, (c) => ENTITIES[c]!)

const STYLE = `
:root { color-scheme: light dark; --ink: #1c1c1e; --dim: #5f6368; --line: #d9dbdf; --paper: #ffffff; --soft: #f4f5f7; --accent: #2f6fb0 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ea; --dim: #a2a6ad; --line: #3a3d42; --paper: #17181a; --soft: #212327; --accent: #7ab2ea } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { max-width: 70rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0 .2rem }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem }
.subtitle, figcaption, dt { color: var(--dim) }
.subtitle { margin: 0 0 1.2rem }
p { max-width: 46rem }
.note { border-left: 4px solid var(--accent); background: var(--soft); padding: .7rem 1rem; border-radius: 0 6px 6px 0 }
.scroll { overflow-x: auto }
table { border-collapse: separate; border-spacing: 0; font-size: .92rem; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .32rem .8rem .32rem 0; border-bottom: 1px solid var(--line); white-space: nowrap }
td:first-child, th:first-child { white-space: normal; min-width: 9rem; position: sticky; left: 0; background: var(--paper) }
.w { white-space: normal; min-width: 11rem }
th { font-weight: 600; color: var(--dim); white-space: normal; vertical-align: bottom }
.n { text-align: right }
.grid { margin: 1.2rem 0; display: flex; flex-wrap: wrap; gap: 1.2rem 1.5rem }
figure { margin: 0; max-width: 100% }
figure.chart { margin: 1rem 0 }
img { display: block; max-width: 100%; height: auto; image-rendering: pixelated; border-radius: 4px }
figcaption { font-size: .9rem; margin-top: .35rem; max-width: 36rem; overflow-wrap: anywhere }
h1, h2, li, summary, .subtitle { overflow-wrap: anywhere }
figure.chart > figcaption { color: var(--ink); font-weight: 600; margin-bottom: .3rem }
.plot { display: block; width: 100%; min-width: 20rem; max-width: 600px; height: auto; font: 12px system-ui, sans-serif }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .88rem; margin: .2rem 0 }
.legend span { display: flex; align-items: baseline }
.legend i { flex: none; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em }
pre { background: var(--soft); padding: .8rem 1rem; border-radius: 6px; overflow-x: auto; font-size: .88rem }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) minmax(0, 1fr); gap: .15rem 1rem; font-size: .92rem }
dd { margin: 0; overflow-wrap: anywhere }
details { margin: 1rem 0 }
a { color: var(--accent) }
summary { cursor: pointer; color: var(--accent) }
@media (max-width: 36rem) {
  img { image-rendering: auto }
  table { font-size: .85rem }
  td:first-child, th:first-child { min-width: 6.5rem; max-width: 10rem; overflow-wrap: break-word }
  .w { min-width: 8rem }
  dl { display: block }
  dd { margin-bottom: .4rem }
}
`

const htmlOf = (block: Block): string => {
  switch (block.kind) {
    case "heading":
      return `<h2>${escaped(block.text)}</h2>`
    case "text":
      return `<p>${escaped(block.text)}</p>`
    case "note":
      return `<p class="note">${escaped(block.text)}</p>`
    case "list":
      return `<ul>${block.items.map((item) => `<li>${escaped(item)}</li>`).join("")}</ul>`
    case "links":
      return `<ul>${block.links.map(({ text, link }) => `<li><a href="${escaped(link)}">${escaped(text)}</a></li>`).join("")}</ul>`
    case "code":
      return `<pre><code>${escaped(block.text)}</code></pre>`
    case "facts":
      return `<dl>${Object.entries(block.facts)
        .map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(String(value))}</dd>`)
        .join("")}</dl>`
    case "table":
      return Table.html(block, escaped)
    case "grid":
      return PictureGrid.html(block, escaped)
    case "chart": {
      const entries = Chart.legend(block.chart).map(
        ({ name, colour }) => `<span><i style="background:${colour}"></i>${escaped(name)}</span>`,
      )
      const legend = entries.length > 0 ? `<div class="legend">${entries.join("")}</div>` : ""
      return `<figure class="chart"><figcaption>${escaped(block.chart.title)}</figcaption>${legend}<div class="scroll">${Chart.svg(block.chart)}</div></figure>`
    }
    case "details":
      return `<details><summary>${escaped(block.summary)}</summary>${block.blocks.map(htmlOf).join("\n")}</details>`
  }
}

/** One HTML file that fetches nothing. */
export const html = ({ title, subtitle, refresh, blocks }: Page): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
${refresh === undefined ? "" : `<meta http-equiv="refresh" content="${refresh}">\n`}<title>${escaped(title)}</title><style>${STYLE}</style></head>
<body><main><h1>${escaped(title)}</h1>
${subtitle === undefined ? "" : `<p class="subtitle">${escaped(subtitle)}</p>`}
${blocks.map(htmlOf).join("\n")}
</main></body></html>
`

export interface Markdown {
  readonly text: string
  /** Pictures, by the relative path that the text uses. */
  readonly files: Readonly<Record<string, Uint8Array>>
}

const slug = (s: string): string =>
  s
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 60) || "picture"

/** @param folder the folder of the pictures, relative to the text */
export const markdown = ({ title, subtitle, blocks }: Page, folder: string): Markdown => {
  const files: Record<string, Uint8Array> = {}
  const place = (name: string, extension: string, bytes: Uint8Array): string => {
    const free = (n: number): string => {
      const file = `${folder}/${slug(name)}${n === 1 ? "" : `-${n}`}.${extension}`
      return file in files ? free(n + 1) : file
    }
    const file = free(1)
    files[file] = bytes
    return file
  }
  /** Keeps text from being read as HTML. */
  const plain = (s: string): string => s.replaceAll("<", "&lt;")
  const linkText = (s: string): string => plain(s).replace(/[[\]]/g, "\\$&")
  const textOf = (block: Block): string => {
    switch (block.kind) {
      case "heading":
        return `## ${plain(block.text)}`
      case "text":
        return plain(block.text)
      case "note":
        return `> ${plain(block.text)}`
      case "list":
        return block.items.map((item) => `- ${plain(item)}`).join("\n")
      case "links":
        return block.links.map(({ text, link }) => `- [${linkText(text)}](${encodeURI(link)})`).join("\n")
      case "code":
        return `\`\`\`sh\n${block.text}\n\`\`\``
      case "facts":
        return Object.entries(block.facts)
          .map(([name, value]) => `- ${plain(`${name}: ${value}`)}`)
          .join("\n")
      case "table":
        return Table.markdown(block)
      case "grid":
        return block.pictures
          .map(
            ({ png, caption, alt = caption }) =>
              `${plain(caption)}\n\n![${linkText(alt)}](${place(caption, "png", png)})`,
          )
          .join("\n\n")
      case "chart": {
        const bytes = new TextEncoder().encode(Chart.file(block.chart, escaped))
        return `![${linkText(block.chart.title)}](${place(block.chart.title, "svg", bytes)})`
      }
      case "details":
        if (block.only === "html") return `${plain(block.summary)}: in report.html`
        return `<details><summary>${escaped(block.summary)}</summary>\n\n${block.blocks.map(textOf).join("\n\n")}\n\n</details>`
    }
  }
  const parts = [`# ${plain(title)}`, ...(subtitle === undefined ? [] : [plain(subtitle)]), ...blocks.map(textOf)]
  return { text: `${parts.join("\n\n")}\n`, files }
}
