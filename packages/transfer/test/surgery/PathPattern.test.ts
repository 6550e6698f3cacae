import { Rng } from "@adafm/core"
import { describe, expect, test } from "vitest"
import * as PathPattern from "../../src/surgery/PathPattern.ts"
import * as Plan from "../../src/surgery/Plan.ts"

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** The meaning of a pattern as a regular expression that backtracks: right, but slow for many `*`. */
const reference = (glob: string): RegExp =>
  new RegExp(
    `^${glob.replace(/\*|\?|\[[^\]]*\]|\{[^}]*\}|[^*?[{]+|./g, (part) => {
      if (part === "*") return "(.*)"
      if (part === "?") return "(.)"
      if (/^\[[A-Za-z0-9-]+\]$/.test(part)) return `(${part})`
      if (!/^\{.*\}$/.test(part)) return escaped(part)
      const choices = part.slice(1, -1).split(",")
      return `(${choices
        .map((choice) =>
          choice
            .split(/(\*|\[[A-Za-z0-9-]+\])/)
            .map((piece, i) => (i % 2 === 0 ? escaped(piece) : piece === "*" ? ".*" : piece))
            .join(""),
        )
        .join("|")})`
    })}$`,
  )

describe("a pattern of a plan", () => {
  test.each([
    { glob: "*", path: "fc.weight", found: ["fc.weight"] },
    { glob: "resnet_[34]_?.conv_*.weight", path: "resnet_4_1.conv_0.weight", found: ["4", "1", "0"] },
    { glob: "{conv_img.*,resnet_0_*}", path: "resnet_0_1.conv", found: ["resnet_0_1.conv"] },
    { glob: "*.*", path: "a.b.c", found: ["a.b", "c"] },
    { glob: "**", path: "ab", found: ["ab", ""] },
    { glob: "{a,ab}*", path: "abc", found: ["a", "bc"] },
    { glob: "a.b", path: "axb", found: undefined },
    { glob: "conv", path: "conv_1", found: undefined },
  ])("$glob on $path", ({ glob, path, found }) => {
    expect(PathPattern.compile(glob).match(path)).toEqual(found)
  })

  test("matches what the regular expression of the same meaning matches, with the same groups", () => {
    const pick = (key: string, letters: readonly string[], most: number): string => {
      const { data } = Rng.int(Rng.at(1, key), [most + 1], 0, letters.length)
      const { data: length } = Rng.int(Rng.at(1, `${key}/length`), [1], 1, most + 1)
      return [...data]
        .slice(0, length[0])
        .map((k) => letters[k]!)
        .join("")
    }
    let fits = 0
    for (let k = 0; k < 3000; k++) {
      const glob = pick(`glob/${k}`, ["*", "?", "a", "b", ".", "[ab]", "{a,b*}", "{ab,*b,[a]}", "{", "]", "\\", "^"], 6)
      const path = pick(`path/${k}`, ["a", "b", ".", "{", "\\"], 7)
      const found = PathPattern.compile(glob).match(path)
      expect(found, `${glob} on ${path}`).toEqual(reference(glob).exec(path)?.slice(1))
      if (found !== undefined) fits++
    }
    expect(fits).toBeGreaterThan(100)
  })

  test.each([
    { name: "many stars", glob: `${"*a".repeat(32)}!` },
    { name: "stars without letters between them", glob: `${"*".repeat(32)}!` },
    { name: "stars in choices", glob: `${"{a*,*a}".repeat(32)}!` },
    { name: "many stars in one choice", glob: `{${"*a".repeat(490)}}!` },
  ])("ends on $name", ({ glob }) => {
    expect(PathPattern.compile(glob).match("a".repeat(200))).toBeUndefined()
  })

  test("has at most 32 wildcards", () => {
    const rule = { paths: "*".repeat(33) }
    expect(Plan.decode({ generator: [rule], discriminator: [rule] })).toMatchObject({
      left: { _tag: "BadPlan", message: expect.stringContaining("at most 32 wildcards, found 33") },
    })
  })

  test("a long path does not exhaust the stack", () => {
    expect(PathPattern.compile("*!").match("a".repeat(100_000))).toBeUndefined()
  })
})
