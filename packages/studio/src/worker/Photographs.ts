/** Photographs that a person drops: kept in the browser's private file system, so that training goes on after a reload. */
import { ByteSource, ZipReader } from "@adafm/checkpoint"
import { Disk, Failure, Files, Path, Sha256 } from "@adafm/core"
import { ImageSet, Resize } from "@adafm/data"
import * as E from "fp-ts/lib/Either.js"
import type { LeftOut, Photographs } from "../protocol/Protocol.ts"
import * as Pictures from "./Pictures.ts"

const FOLDER = "/photographs"

/** Bytes; a larger zip is refused, because it is held in memory while it is unpacked. */
const MAX_ZIP = 2 ** 31

const ZIP = /\.zip$/i
/** Shadow files of macOS and hidden files. */
const HIDDEN = /(^|\/)(\.|__MACOSX)/

interface Named {
  readonly name: string
  readonly bytes: () => Promise<Uint8Array>
}

/** A path inside a dropped folder, without parts that could leave the folder in which it is kept. */
const safe = (name: string): string =>
  name
    .split(/[/\\]/)
    .filter((part) => part !== "" && part !== "." && part !== "..")
    .join("/")

const unpacked = async (file: File): Promise<readonly Named[]> => {
  if (file.size > MAX_ZIP) Failure.raise("TooLarge", `the zip has ${(file.size / 1e9).toFixed(1)} GB; unpack it first`)
  const directory = ZipReader.read(ByteSource.ofBytes(new Uint8Array(await file.arrayBuffer())))
  return [...directory.members.values()]
    .filter(({ name }) => !name.endsWith("/"))
    .map((member) => ({
      name: member.name,
      bytes: async () => {
        ZipReader.verify(member)
        return member.content.read(0, member.content.size)
      },
    }))
}

const listed = async (file: File): Promise<readonly Named[]> => {
  const name = file.webkitRelativePath || file.name
  if (ZIP.test(name)) return unpacked(file)
  return [{ name, bytes: async () => new Uint8Array(await file.arrayBuffer()) }]
}

/** Decodes every photograph of a folder: the squares that the network sees, and what cannot be used. */
export const read = async (folder: string, size: number): Promise<Photographs> => {
  const set = await Failure.orThrow(ImageSet.open(folder))
  const leftOut: LeftOut[] = (set.foreign ?? []).map((name) => ({ name, reason: "this format is not supported" }))
  const kept = []
  for (const [i, name] of set.names.entries()) {
    const decoded = await set.decode(i)()
    if (E.isRight(decoded)) kept.push({ name, crop: Pictures.ofRgb(Resize.fit(decoded.right, size)) })
    else leftOut.push({ name, reason: decoded.left.message })
  }
  return { folder, kept, leftOut }
}

/** Files that cannot be decoded are removed again: a set with many of them is refused by the training. */
const withoutBroken = async (found: Photographs): Promise<Photographs> => {
  for (const { name } of found.leftOut) await Disk.rm(Path.join(found.folder, name), { force: true })
  return found
}

/** Keeps the files and decodes them. The folder is named after the content: the same photographs are kept once. */
export const add = async (files: readonly File[], size: number): Promise<Photographs> => {
  const refused: LeftOut[] = []
  const entries: { readonly name: string; readonly bytes: Uint8Array }[] = []
  for (const file of files) {
    try {
      for (const { name, bytes } of await listed(file)) {
        if (HIDDEN.test(name)) continue
        try {
          entries.push({ name: safe(name), bytes: await bytes() })
        } catch (thrown) {
          refused.push({ name, reason: Failure.fromThrown(thrown).message })
        }
      }
    } catch (thrown) {
      refused.push({ name: file.name, reason: Failure.fromThrown(thrown).message })
    }
  }
  if (entries.length === 0)
    return refused.length === 0
      ? Failure.raise("NoImages", "there is no file among what was dropped")
      : { folder: "", kept: [], leftOut: refused }
  const hash = Sha256.make()
  for (const { name, bytes } of [...entries].sort((a, b) => (a.name < b.name ? -1 : 1))) hash.update(name).update(bytes)
  const folder = Path.join(FOLDER, hash.hex().slice(0, 12))
  for (const { name, bytes } of entries) await Failure.orThrow(Files.write(Path.join(folder, name), bytes))
  try {
    const found = await read(folder, size)
    return withoutBroken({ ...found, leftOut: [...refused, ...found.leftOut] })
  } catch (thrown) {
    await Disk.rm(folder, { recursive: true, force: true })
    throw thrown
  }
}
