/** What a program that imports one score gets with it. */
import { mkdtemp, readdir, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { build } from "esbuild"
import { expect, test } from "vitest"

test.each([
  'import { Kid } from "@adafm/metrics"; console.log(Kid)',
  'import * as Fid from "@adafm/metrics/scores/Fid"; console.log(Fid)',
])("%s: no TensorFlow.js, and ONNX only in a part that is loaded later", async (contents) => {
  const outdir = await mkdtemp(join(tmpdir(), "adafm-bundle-"))
  try {
    const { metafile } = await build({
      stdin: { contents, resolveDir: import.meta.dirname },
      bundle: true,
      splitting: true,
      minify: true,
      platform: "node",
      format: "esm",
      external: ["onnxruntime-node"],
      outdir,
      metafile: true,
      logLevel: "silent",
    })
    // of what is written: modules without a used part are read and left out
    const written = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs))
    expect(written.join("\n")).not.toContain("tfjs")
    const first = Object.values(metafile.outputs).find(({ entryPoint }) => entryPoint === "<stdin>")!
    expect(Object.keys(first.inputs).join("\n")).not.toMatch(/protobuf|packages\/onnx/)
    expect((await stat(join(outdir, "stdin.js"))).size).toBeLessThan(60_000)
    expect((await readdir(outdir)).length).toBeGreaterThan(1)
  } finally {
    await rm(outdir, { recursive: true })
  }
})
