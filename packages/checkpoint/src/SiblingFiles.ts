/** Files in the same folder as a checkpoint: the shards that its index names. Names that leave the folder are refused. */
import { Disk, Failure, Path } from "@adafm/core"
import * as ByteSource from "./ByteSource.ts"

export interface SiblingFiles {
  readonly open: (name: string) => ByteSource.Source
  readonly close: () => void
}

/** Files open at a time. */
const MAX_SHARDS = 1000

/** The name without the `./` that TensorFlow.js writes in a browser. Refuses names that could leave the folder. */
const plain = (given: string): string => {
  const name = given.replace(/^\.\//, "")
  if (/^[^/\\\0:]{1,255}$/.test(name) && name !== "." && name !== "..") return name
  return Failure.raise(
    "UnsafePath",
    `the index names the shard ${JSON.stringify(name.slice(0, 200))}, which is not a plain file name`,
    { path: name },
  )
}

export const inFolder = (folder: string): SiblingFiles => {
  const opened = new Map<string, { fd: number; source: ByteSource.Source }>()
  return {
    open: (given) => {
      const name = plain(given)
      const known = opened.get(name)
      if (known !== undefined) return known.source
      if (opened.size === MAX_SHARDS)
        return Failure.raise("BadHeader", `the index names more than ${MAX_SHARDS} shards, which is the limit`)
      try {
        const fd = Disk.openFileSync(Path.join(folder, name))
        const source = ByteSource.ofDescriptor(fd, Disk.fstatSync(fd).size)
        opened.set(name, { fd, source })
        return source
      } catch (thrown) {
        return Failure.raise("MissingShard", `cannot open the shard ${name}: ${Failure.fromThrown(thrown).message}`, {
          path: name,
        })
      }
    },
    close: () => {
      for (const { fd } of opened.values()) Disk.closeSync(fd)
      opened.clear()
    },
  }
}

/** For checkpoints in memory. */
export const inMemory = (files: Readonly<Record<string, Uint8Array>>): SiblingFiles => ({
  open: (given) => {
    const name = plain(given)
    return Object.hasOwn(files, name)
      ? ByteSource.ofBytes(files[name]!)
      : Failure.raise("MissingShard", `the shard ${name} is missing`, { path: name })
  },
  close: () => undefined,
})

export const none: SiblingFiles = inMemory({})
