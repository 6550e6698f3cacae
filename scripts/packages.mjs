/**
 * Checks the packages as npm users get them. Every package is packed and linted (publint, @arethetypeswrong/cli); then npm installs
 * the tarballs into an empty project, where the READMEs' examples are type-checked against the published types and run by plain
 * Node. `node scripts/packages.mjs` prints one line per check, `--keep` keeps the project; `scripts/check.mjs` calls it.
 */
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import { examples, imported } from "./examples.mjs"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const json = (file) => JSON.parse(readFileSync(file, "utf8"))
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`

/** The packages that are published: name, folder, `package.json`. */
export const publishable = readdirSync(join(root, "packages"))
  .map((name) => ({ name, folder: join(root, "packages", name) }))
  .filter(({ folder }) => existsSync(join(folder, "package.json")))
  .map((found) => ({ ...found, manifest: json(join(found.folder, "package.json")) }))
  .filter(({ manifest }) => manifest.private !== true)

/** Whether a command succeeded, and its output. */
export const run = (command, args, options = {}) => {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8",
    timeout: 600_000,
    maxBuffer: 2 ** 26,
    shell: process.platform === "win32",
    ...options,
  })
  return { ok: status === 0, text: [stdout, stderr, error?.message ?? ""].join("").trim() }
}
/** The environment of commands outside the workspace: without the settings that pnpm passes to its scripts. */
export const plain = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm|pnpm)_/i.test(name)))

/** The same, with temporary files in a folder that is removed in the end. */
const within = (folder) => ({ ...plain, TMPDIR: folder, TEMP: folder, TMP: folder })

/** Builds a package and writes its tarball. */
export const pack = ({ name, folder }, target) => {
  const packed = run("pnpm", ["pack", "--json", "--pack-destination", target], { cwd: folder })
  const tarball = packed.ok ? JSON.parse(packed.text.slice(packed.text.indexOf("{"))).filename : undefined
  return { name, ok: tarball !== undefined, text: packed.text, tarball }
}

/** Packages that the compiled modules or the README import and `package.json` does not declare. */
const undeclared = ({ folder, manifest }) => {
  const { name, dependencies = {}, peerDependencies = {} } = manifest
  const declared = new Set([name, ...Object.keys({ ...dependencies, ...peerDependencies })])
  const modules = readdirSync(join(folder, "dist"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".js") || file.endsWith(".d.ts"))
    .map((file) => readFileSync(join(folder, "dist", file), "utf8"))
  const readme = readFileSync(join(folder, "README.md"), "utf8")
  const missing = new Set(modules.flatMap(imported).filter((other) => !declared.has(other)))
  // a README may import what its install line adds
  for (const { code } of examples(join(folder, "README.md")).modules)
    for (const other of imported(code))
      if (!declared.has(other) && !readme.includes(` ${other}@`)) missing.add(`${other} (README)`)
  return [...missing]
}

const lint = async (tarball) => {
  const { messages, pkg } = await publint({
    pack: { tarball: new Uint8Array(readFileSync(tarball)).buffer },
    strict: true,
  })
  return messages.map((message) => formatMessage(message, pkg, { color: false }))
}

/** Other versions of Node that users have, as npm's packages of their programs. */
const NODES = [22, 24]

/** Runs the command with other versions of Node, where the registry has them for this machine. */
const runNodes = (folder, say) => {
  const program = `node-${process.platform}-${process.arch}`
  for (const major of NODES.filter((version) => !process.versions.node.startsWith(`${version}.`))) {
    const since = performance.now()
    const own = join(folder, `node-${major}`)
    mkdirSync(own)
    writeFileSync(join(own, "package.json"), JSON.stringify({ private: true }))
    const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    const installed = run("npm", ["install", ...quiet, `${program}@${major}`], { cwd: own, env: plain })
    if (!installed.ok) {
      console.log(`skipped  Node ${major}: npm has no ${program}@${major}`)
      continue
    }
    const node = join(own, "node_modules", program, "bin", process.platform === "win32" ? "node.exe" : "node")
    const main = join(folder, "node_modules", "@adafm", "cli", "dist", "main.js")
    const train = ["--source", "builtin:cifar32-small", "--data", "drawn:flowers?count=40", "--steps", "2"]
    const steps = [
      ["sample", "builtin:cifar32-small", "--count", "4", "--grid", join(own, "samples.png")],
      ["transfer", ...train, "--score-count", "0", "--out", join(own, "run")],
    ]
    const results = steps.map((args) => run(node, [main, ...args], { cwd: own, env: within(folder), timeout: 300_000 }))
    const failed = results.find(({ ok }) => !ok)
    say(`Node ${major}: samples and trains`, failed === undefined, failed?.text, since)
  }
}

/** What the studio's page needs of its server: itself, the runtime, a bundled model of another package. */
const SERVED = ["", "ort/ort-wasm-simd-threaded.wasm", "builtin/cifar32-small/generator.safetensors", "api/runs"]

/** Starts `adafm studio` and asks it for the page. */
const serveStudio = async (folder, say) => {
  const since = performance.now()
  const main = join(folder, "node_modules", "@adafm", "cli", "dist", "main.js")
  const server = spawn(process.execPath, [main, "studio", "--port", "0"], { cwd: folder, env: within(folder) })
  let text = ""
  try {
    const address = await new Promise((resolve, reject) => {
      server.on("error", reject).on("exit", () => reject(new Error("it ended")))
      for (const stream of [server.stdout, server.stderr])
        stream.setEncoding("utf8").on("data", (part) => {
          text += part
          const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(text)
          if (found !== null) resolve(found[0])
        })
    })
    const statuses = await Promise.all(SERVED.map((path) => fetch(`${address}${path}`).then(({ status }) => status)))
    const missing = SERVED.filter((_, i) => statuses[i] !== 200)
    say("adafm studio serves its page, the runtime and the models", missing.length === 0, missing.join("\n"), since)
  } catch (thrown) {
    say("adafm studio serves its page, the runtime and the models", false, `${thrown.message}\n${text}`, since)
  } finally {
    server.kill("SIGINT")
  }
}

const isReachable = () =>
  run("npm", ["view", "fp-ts@2.16.11", "version", "--fetch-retries=0", "--fetch-timeout=15000"], { env: plain }).ok

const consumer = {
  compilerOptions: {
    target: "ES2023",
    lib: ["ES2023"],
    module: "NodeNext",
    types: ["node"],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    rootDir: "examples",
    outDir: "javascript",
  },
  include: ["examples"],
}

/** Writes an empty project with the examples as files, and installs the tarballs there. */
const project = (folder, tarballs) => {
  const { devDependencies } = json(join(root, "package.json"))
  const onnx = publishable.find(({ name }) => name === "onnx")
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }))
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(consumer))
  for (const { name, folder: source } of publishable)
    for (const [i, { code }] of examples(join(source, "README.md")).modules.entries()) {
      mkdirSync(join(folder, "examples", `${name}-${i}`), { recursive: true })
      writeFileSync(join(folder, "examples", `${name}-${i}`, "example.ts"), `${code}export {}\n`)
    }
  const native = `onnxruntime-node@${onnx.manifest.peerDependencies["onnxruntime-node"]}`
  const tools = [`typescript@${devDependencies.typescript}`, `@types/node@${devDependencies["@types/node"]}`]
  return run(
    "npm",
    ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", ...tarballs, native, ...tools],
    { cwd: folder, env: plain },
  )
}

/** Splits a command line into words; double quotes keep a word together. */
const words = (line) => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word)

const runExamples = (folder, say) => {
  const bin = (name) => join(folder, "node_modules", ".bin", name)
  const started = performance.now()
  const types = run(bin("tsc"), ["-p", "."], { cwd: folder })
  say("every README's example type-checks against the published types", types.ok, types.text, started)
  for (const { name, manifest, folder: source } of publishable) {
    const { modules, commands } = examples(join(source, "README.md"))
    say(`${manifest.name}: its README has an example`, modules.length + commands.length > 0)
    for (const i of modules.keys()) {
      const since = performance.now()
      const cwd = join(folder, "javascript", `${name}-${i}`)
      const { ok, text } = run(process.execPath, ["example.js"], { cwd, env: within(folder), timeout: 180_000 })
      say(`${manifest.name}: the example of its README runs`, ok, text, since)
    }
    for (const line of commands) {
      const since = performance.now()
      const [command, ...args] = words(line)
      const { ok, text } = run(bin(command), args, { cwd: folder, env: within(folder), timeout: 180_000 })
      say(`${manifest.name}: ${line}`, ok, text, since)
    }
  }
}

/** @returns {Promise<{ passed: number, failed: number, skipped: number }>} */
export const check = async ({ keep = false } = {}) => {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const say = (what, ok, text = "", since = undefined) => {
    counts[ok ? "passed" : "failed"]++
    console.log(`${ok ? "passed" : "FAILED"}  ${what}${since === undefined ? "" : ` (${seconds(since)})`}`)
    if (!ok && text !== "") console.log(text.replace(/^/gm, "        "))
  }
  const folder = mkdtempSync(join(tmpdir(), "adafm-packages-"))
  try {
    const tarballs = []
    for (const one of publishable) {
      const since = performance.now()
      const { ok, text, tarball } = pack(one, folder)
      say(`${one.manifest.name}: pnpm pack`, ok, text, since)
      if (!ok) continue
      tarballs.push(tarball)
      const missing = undeclared(one)
      say(`${one.manifest.name}: every import is declared`, missing.length === 0, missing.join("\n"))
      const messages = await lint(tarball)
      say(`${one.manifest.name}: publint`, messages.length === 0, messages.join("\n"))
      const attw = join(root, "node_modules", ".bin", "attw")
      const types = run(attw, [tarball, "--profile", "esm-only", "--no-emoji", "--no-color"])
      say(`${one.manifest.name}: types resolve (attw)`, types.ok, types.text)
    }
    if (tarballs.length < publishable.length) return counts
    if (!isReachable()) {
      counts.skipped++
      console.log(
        "skipped  install of the tarballs into an empty project: the npm registry is not reachable (npm view fp-ts)",
      )
      return counts
    }
    const outside = join(folder, "project")
    mkdirSync(outside)
    const since = performance.now()
    const installed = project(outside, tarballs)
    say("npm install of all tarballs into an empty project", installed.ok, installed.text, since)
    if (installed.ok) {
      runExamples(outside, say)
      await serveStudio(outside, say)
      runNodes(outside, say)
    }
    return counts
  } finally {
    if (keep) console.log(`kept ${folder}`)
    else rmSync(folder, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed, skipped } = await check({ keep: process.argv.includes("--keep") })
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  process.exitCode = failed === 0 ? 0 : 1
}
