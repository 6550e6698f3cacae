/** Builds the page: static files with relative addresses, for any server and any folder of it. */
import { copyFileSync, mkdirSync, readdirSync } from "node:fs"
import { createRequire, isBuiltin } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { defineConfig, type Plugin } from "vite"

const here = dirname(fileURLToPath(import.meta.url))
const models = join(here, "..", "job", "assets")
const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"))

/** Files that are served unchanged: the bundled models and the runtime's binaries. They are fetched when they are needed. */
const files = (): readonly (readonly [from: string, to: string])[] => [
  ...readdirSync(models).flatMap((name) =>
    ["model.json", "generator.safetensors", "discriminator.safetensors", "samples.png"].map(
      (file) => [join(models, name, file), join("builtin", name, file)] as const,
    ),
  ),
  ...readdirSync(runtime)
    .filter((file) => /^ort-wasm-simd-threaded(\.(jspi|asyncify))?\.(mjs|wasm)$/.test(file))
    .map((file) => [join(runtime, file), join("ort", file)] as const),
]

const copied = (): Plugin => ({
  name: "copied",
  apply: "build",
  writeBundle: ({ dir }) => {
    for (const [from, to] of files()) {
      mkdirSync(dirname(join(dir!, to)), { recursive: true })
      copyFileSync(from, join(dir!, to))
    }
  },
})

/** Packages that look for a module of Node and do without it in a browser. */
const OPTIONAL: readonly (readonly [importer: RegExp, module: string])[] = [
  [/\/tfjs-core\/dist\/platforms\/platform_node\.js$/, "util"],
  [/\/seedrandom\/seedrandom\.js$/, "crypto"],
  [/\/protobufjs\/src\/util\/fs\.js$/, "fs"],
]

/** A module of Node in the page is a mistake: it would fail when it runs. */
const noNode = (): Plugin => ({
  name: "no-node",
  enforce: "pre",
  resolveId: (source, importer) => {
    const isOptional = OPTIONAL.some(([file, name]) => name === source && file.test(importer ?? ""))
    if (isBuiltin(source) && !isOptional)
      throw new Error(`${importer} imports ${source}, which a browser does not have`)
    return null
  },
})

export default defineConfig({
  root: here,
  base: "./",
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "browser", "module", "import", "default"] },
  worker: { format: "es", plugins: () => [noNode()] },
  build: { target: "es2022", assetsInlineLimit: 0, sourcemap: false, chunkSizeWarningLimit: 2000 },
  plugins: [noNode(), copied()],
})
