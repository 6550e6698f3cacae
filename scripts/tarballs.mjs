/** `pnpm -s tarballs [FOLDER]`: the packages as npm would get them, for projects that use them before they are on npm. */
import { mkdirSync, readdirSync, rmSync } from "node:fs"
import { join, resolve } from "node:path"
import { pack, publishable } from "./packages.mjs"

const target = resolve(process.argv[2] ?? "tarballs")
mkdirSync(target, { recursive: true })
for (const name of readdirSync(target).filter((file) => /^adafm-.*\.tgz$/.test(file))) rmSync(join(target, name))
for (const one of publishable) {
  const { ok, text, tarball } = pack(one, target)
  if (!ok) {
    console.error(`${one.manifest.name} cannot be packed:\n${text}`)
    process.exit(1)
  }
  console.error(tarball)
}
const onnx = publishable.find(({ name }) => name === "onnx")
const native = `onnxruntime-node@${onnx.manifest.peerDependencies["onnxruntime-node"]}`
console.log(`npm install --ignore-scripts ${join(target, "*.tgz")} ${native}`)
