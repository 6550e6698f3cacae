/** The examples of a package's README: every `ts` block is a module, every `sh` line that starts with `npx adafm` a command. */
import { readFileSync } from "node:fs"
import typescript from "typescript"

const BLOCK = /^```(ts|sh)\n([\s\S]*?)^```$/gm

/** @returns {{ language: "ts" | "sh", code: string, line: number }[]} */
export const blocks = (markdown) =>
  [...markdown.matchAll(BLOCK)].map((found) => ({
    language: found[1],
    code: found[2],
    line: markdown.slice(0, found.index).split("\n").length,
  }))

/** A command without its comment and `npx`. */
const command = (line) => line.replace(/\s+#.*$/, "").replace(/^npx /, "")

/** The modules and the commands of a README. */
export const examples = (file) => {
  const all = blocks(readFileSync(file, "utf8"))
  return {
    modules: all.filter(({ language }) => language === "ts"),
    commands: all
      .filter(({ language }) => language === "sh")
      .flatMap(({ code }) => code.split("\n").filter((line) => line.startsWith("npx adafm ")))
      .map(command),
  }
}

/** Packages that a module imports, for values or types, without Node's built-in modules. */
export const imported = (code) =>
  typescript
    .preProcessFile(code, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => !/^(\.|#|node:)/.test(name))
    .map((name) => name.split("/", name.startsWith("@") ? 2 : 1).join("/"))
