import * as E from "fp-ts/lib/Either.js"
import { expect, test } from "vitest"
import * as YamlText from "../src/files/YamlText.ts"

test("YAML and JSON, with anchors, become values", () => {
  expect(YamlText.parse("a: &x [1, 2]\nb: *x\n")).toEqual(E.right({ a: [1, 2], b: [1, 2] }))
  expect(YamlText.parse('{"a": null}')).toEqual(E.right({ a: null }))
})

test.each([
  { name: "anchors", text: Array.from({ length: 5000 }, (_, i) => `- &a${i} 1`).join("\n"), message: /5000 anchors/ },
  {
    name: "keys, which the parser compares with each other",
    text: Array.from({ length: 30_000 }, (_, i) => `k${i}: 1`).join("\n"),
    message: /288889 characters; the limit is 65536/,
  },
  {
    name: "aliases of aliases",
    text: `a: &a [1,1,1,1,1,1,1,1,1]\n${["b", "c", "d", "e", "f", "g"].map((k, i) => `${k}: &${k} [${Array(9).fill(`*${"abcdef"[i]}`).join()}]`).join("\n")}`,
    message: /alias/,
  },
  { name: "brackets without end", text: "[".repeat(20_000), message: /not valid YAML/ },
  { name: "two documents", text: "---\na: 1\n---\nb: 1\n", message: /not valid YAML: .*multiple documents/ },
])("refuses too many $name in one line", ({ text, message }) => {
  const parsed = YamlText.parse(text)
  expect(parsed).toMatchObject({ _tag: "Left", left: { _tag: "BadYaml", message: expect.stringMatching(message) } })
  expect(E.isLeft(parsed) && parsed.left.message).not.toContain("\n")
})
