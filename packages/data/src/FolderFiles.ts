/** The files in a folder and its sub-folders. Links are followed to files and folders, as torchvision does. */
import { readdir, realpath, stat } from "node:fs/promises"
import { join } from "node:path"
import { Disk, Failure } from "@adafm/core"
import * as FileNames from "./FileNames.ts"
import * as Limits from "./Limits.ts"

export interface Found {
  /** Paths with `/`, in the system's order. */
  readonly names: readonly string[]
  readonly leftOut: readonly FileNames.LeftOut[]
}

interface Folder {
  readonly path: string
  /** What precedes the names of its files. */
  readonly prefix: string
  /** The real paths of this folder and those above it: a link back to one of them is a loop. */
  readonly chain: readonly string[]
}

/** Rejects with the system's error, or with `TooManyLinks`. @param linkedFolders most folders that are reached through links */
export const list = async (root: string, linkedFolders = Limits.LINKED_FOLDERS): Promise<Found> => {
  const names: string[] = []
  const leftOut: FileNames.LeftOut[] = []
  let linked = 0
  const followed = async (path: string, name: string, { chain }: Folder): Promise<Folder | undefined> => {
    const target = await stat(path).catch(() => undefined)
    if (target === undefined) {
      // reading it fails, so that a picture that is missing counts as broken
      names.push(name)
      return undefined
    }
    if (!target.isDirectory()) {
      const other = Disk.otherThanFile(target)
      if (other === undefined) names.push(name)
      else leftOut.push({ name, reason: `a link to ${other}` })
      return undefined
    }
    const real = await realpath(path)
    if (chain.includes(real)) {
      leftOut.push({ name, reason: "a link to a folder that contains it" })
      return undefined
    }
    if (++linked > linkedFolders)
      Failure.raise("TooManyLinks", `more than ${linkedFolders} folders are reached through links`, {
        path: name,
      })
    return { path: real, prefix: `${name}/`, chain: [...chain, real] }
  }
  const pending: Folder[] = [{ path: root, prefix: "", chain: [await realpath(root)] }]
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const { path: parent, prefix, chain } = folder
    for (const entry of await readdir(parent, { withFileTypes: true })) {
      if (FileNames.isHidden(entry.name)) continue
      const [path, name] = [join(parent, entry.name), `${prefix}${entry.name}`]
      if (entry.isFile()) names.push(name)
      else if (entry.isDirectory())
        pending.push({ path, prefix: `${name}/`, chain: [...chain, join(chain.at(-1)!, entry.name)] })
      else if (entry.isSymbolicLink()) {
        const next = await followed(path, name, folder)
        if (next !== undefined) pending.push(next)
      } else leftOut.push({ name, reason: Disk.otherThanFile(entry)! })
    }
    if (names.length > Limits.IMAGES)
      Failure.raise("TooManyFiles", `the folder holds more than ${Limits.IMAGES} files, which is the limit`)
  }
  return { names, leftOut }
}
