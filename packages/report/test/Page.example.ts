/** One block of every kind. */
import type * as Chart from "../src/Chart.ts"
import * as Page from "../src/Page.ts"

/** One grey pixel, written by hand: signature, IHDR 1×1, IDAT, IEND. */
export const PIXEL = new Uint8Array(
  Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg==", "base64"),
)

const lines: Chart.Chart = {
  kind: "lines",
  title: "score <by> step",
  x: { label: "step" },
  y: { label: "score" },
  series: [
    { name: "a & b", points: [0, 10, 20].map((x) => ({ x, y: 2 - x / 20, range: [1 - x / 20, 3 - x / 20] as const })) },
    { name: "other", points: [{ x: 0, y: Number.NaN }] },
  ],
  levels: [{ name: "floor", y: 0.5 }],
}

export const page: Page.Page = {
  title: "Title <script>",
  subtitle: "sub",
  blocks: [
    Page.heading("Curves"),
    Page.note("one seed"),
    Page.text("a < b"),
    Page.list(["x", "y"]),
    Page.facts({ seed: 3 }),
    Page.chart(lines),
    Page.chart({
      kind: "estimates",
      title: "by variant",
      x: { label: "score" },
      rows: [{ name: "v", values: [1, 2] }],
    }),
    Page.table({ columns: [{ title: "name" }, { title: "score", digits: 2 }], rows: [["v", 1.234]] }),
    Page.grid({
      pictures: [
        { png: PIXEL, caption: "a pixel" },
        { png: PIXEL, caption: "a pixel" },
      ],
    }),
    Page.details("more", [Page.code("ls")]),
  ],
}
