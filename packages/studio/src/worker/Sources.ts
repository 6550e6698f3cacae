/** Models to start from: those served with the page, and a person's own. */
import { Disk, Failure, Files, Path } from "@adafm/core"
import { ModelFolder } from "@adafm/gan"
import * as BundledDigests from "@adafm/job/run/BundledDigests"
import { FOLDER } from "@adafm/job/run/BundledModels.browser"
import { Import } from "@adafm/transfer"
import type { Source } from "../protocol/Protocol.ts"

const OWN = "/models"

const BUNDLED: readonly Source[] = [
  {
    path: "builtin:cifar32-small",
    name: "Small",
    about: "animals and vehicles, 32 × 32 px; 4 MB, trains about four times as fast",
  },
  { path: "builtin:cifar32", name: "Wide", about: "animals and vehicles, 32 × 32 px; 15 MB, better pictures" },
]

const PREFIX = "builtin:"
const FILES = ["generator.safetensors", "discriminator.safetensors", "model.json"] as const

const served = (name: string, file: string): URL =>
  new URL(`${import.meta.env.DEV ? "/" : "../"}builtin/${name}/${file}`, self.location.href)

const fetched = async (address: URL): Promise<Uint8Array> => {
  const response = await fetch(address)
  return response.ok
    ? new Uint8Array(await response.arrayBuffer())
    : Failure.raise("NoModel", `the server answered ${response.status} for ${address.pathname}`)
}

/** Files that are damaged, or of an older version of this page, are fetched again. */
const isWhole = (folder: string): Promise<boolean> =>
  BundledDigests.verify(folder).then(
    () => true,
    () => false,
  )

/** Makes sure that the files of a bundled model are on this disk. `model.json` is written last, so it tells that all are there. */
export const ready = async (path: string): Promise<void> => {
  if (!path.startsWith(PREFIX)) return
  const name = path.slice(PREFIX.length)
  const folder = Path.join(FOLDER, name)
  if ((await Files.exists(Path.join(folder, "model.json"))) && (await isWhole(folder))) return
  const bytes = await Promise.all(FILES.map((file) => fetched(served(name, file))))
  for (const [i, file] of FILES.entries()) await Failure.orThrow(Files.write(Path.join(folder, file), bytes[i]!))
}

const about = async (folder: string): Promise<string> => {
  const { config } = await Failure.orThrow(
    ModelFolder.readJson(ModelFolder.Description, Path.join(folder, "model.json")),
  )
  const [height, width] = ModelFolder.ganOf({
    version: 1,
    config,
    latent: { distribution: "normal", dim: 1 },
    batchNorm: "stored",
  }).image
  return `your own, ${config.architecture}, ${width} × ${height} px`
}

const own = async (): Promise<readonly Source[]> => {
  if (!(await Files.exists(OWN))) return []
  const found: Source[] = []
  for (const name of await Disk.readdir(OWN)) {
    const path = Path.join(OWN, name)
    if (await Files.exists(Path.join(path, "model.json"))) found.push({ path, name, about: await about(path) })
  }
  return found
}

export const list = async (): Promise<readonly Source[]> => [...BUNDLED, ...(await own())]

/** A model folder, or checkpoints that the reader of `adafm import` reads. Nothing in a file is executed. */
export const add = async (files: readonly File[]): Promise<Source> => {
  const name = files[0]!.name.replace(/\.[^.]*$/, "").replace(/[^\w.-]+/g, "-") || "model"
  const inbox = Path.join("/inbox", crypto.randomUUID())
  const folder = Path.join(OWN, name)
  try {
    for (const file of files)
      await Failure.orThrow(Files.write(Path.join(inbox, file.name), new Uint8Array(await file.arrayBuffer())))
    if (files.some((file) => file.name === "model.json")) {
      const { description, ...networks } = await Failure.orThrow(ModelFolder.read(inbox))
      await Failure.orThrow(ModelFolder.write(folder, description, networks))
    } else {
      const paths = files.map((file) => Path.join(inbox, file.name))
      await Failure.orThrow(Import.importModel({ ...chosen(paths), out: folder }))
    }
  } finally {
    await Disk.rm(inbox, { recursive: true, force: true })
  }
  return { path: folder, name, about: await about(folder) }
}

/** Which file is which network: by name where there are two. */
const chosen = (paths: readonly string[]): Pick<Import.Options, "files" | "generator" | "discriminator"> => {
  const named = (pattern: RegExp): string | undefined => paths.find((path) => pattern.test(Path.basename(path)))
  const [generator, discriminator] = [named(/gen|^g[_.-]/i), named(/dis|^d[_.-]/i)]
  if (paths.length === 1) return { files: paths }
  return generator !== undefined && discriminator !== undefined
    ? { generator, discriminator }
    : Failure.raise(
        "NoModel",
        "expected one checkpoint, or two files with `generator` and `discriminator` in their names",
      )
}
