import { readFile } from "node:fs/promises"
import { expect, test } from "vitest"
import * as Evidence from "../judge/Evidence.ts"
import * as FindingsPage from "./FindingsPage.ts"

test("FINDINGS.md says what the committed results say: every number and every verdict", async () => {
  const template = await readFile(FindingsPage.TEMPLATE, "utf8")
  const page = FindingsPage.render(template, await Evidence.read())
  expect(await readFile(FindingsPage.PAGE, "utf8"), "run pnpm exp:all --profile standard --pages").toBe(page)
})

/** A variant `ours` of three draws, one `other` of one draw, and two claims. */
const evidence = {
  draws: [0.001, 0.002, 0.006].map((kid, draw) => ({
    variant: "ours",
    target: "flowers",
    draw,
    moved: {},
    result: { metrics: { kid: { value: kid }, prdc: { value: { coverage: draw / 4 } } }, plan: { trainable: 12800 } },
  })),
  claims: new Map([
    [
      "better",
      { verdict: "holds", effect: -0.00285, deviation: 0.001, interval: [-0.004, -0.001], pairs: 3, opinions: [] },
    ],
    ["shown", { verdict: "undecided", effect: 0.1, deviation: 0.1, interval: null, pairs: 1, opinions: [] }],
  ]),
  references: new Map([
    ["flowers", { pool: {}, source: { kid: { value: 0.00276 } }, curve: { pool: 0.1, source: 0.4 } }],
  ]),
} as unknown as Evidence.Evidence

const CARD = "packages/job/assets/cifar32/README.md"

const body = (template: string): string => FindingsPage.render(template, evidence).split("\n\n").slice(1).join("\n\n")

test.each([
  { template: "KID {{kid ours}}", text: "KID 0.00300" },
  { template: "{{kid:3 ours draw 2}} of {{kid ours least}}", text: "0.006 of 0.00100" },
  { template: "{{coverage ours most}}", text: "0.50" },
  { template: "{{trained ours}}", text: "12,800" },
  { template: "{{kid source - ours}}", text: "−0.00024" },
  { template: "{{curve photographs}}", text: "0.10" },
  { template: "{{effect:4 better}} ± {{deviation:4 better}}", text: "−0.0029 ± 0.0010" },
  { template: "{{ratio better}} in {{pairs better}} draws", text: "2.9 in three draws" },
  { template: "it {{holds better}}{{check holds better}}", text: "it holds" },
  { template: "an {{illustration shown}}", text: "an illustration" },
  { template: `{{quote:5 0.0004327 ${CARD}}}`, text: "0.00043" },
  { template: "{{recorded 0.1 335383f}}, step 500, 2e-4, `0.5`", text: "0.1, step 500, 2e-4, `0.5`" },
])("$template becomes $text", ({ template, text }) => expect(body(template)).toBe(text))

test.each([
  { template: "a KID of 0.00183", says: "0.00183 has no reference" },
  { template: "a KID of .00183", says: ".00183 has no reference" },
  { template: "{{undecided better}}", says: "the verdict is holds: revise the text" },
  { template: "{{check holds shown}}", says: "the verdict is illustration" },
  { template: "{{holds better resnet-56}}", says: "the verdict is not-tested" },
  { template: "{{holds nothing}}", says: "no claim is called nothing" },
  { template: "{{kid other}}", says: "there is no kid of other on flowers" },
  { template: "{{fid ours}}", says: "there is no fid of ours on flowers" },
  { template: "{{kid better}}", says: "a claim has no kid" },
  { template: "{{recorded 0.1}}", says: "it names no commit" },
  { template: `{{quote 0.000432 ${CARD}}}`, says: "README.md does not hold 0.000432" },
])("$template is refused: $says", ({ template, says }) => expect(() => body(template)).toThrow(says))
