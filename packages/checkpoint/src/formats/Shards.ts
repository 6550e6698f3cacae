/**
 * One checkpoint in several files, with an index: `model.safetensors.index.json`, `pytorch_model.bin.index.json`. The shards
 * are safetensors or PyTorch files.
 */
import { Failure, Flat } from "@adafm/core"
import type * as ByteSource from "../ByteSource.ts"
import * as JsonFile from "../JsonFile.ts"
import type * as ParsedFile from "../ParsedFile.ts"
import type * as SiblingFiles from "../SiblingFiles.ts"
import type * as TensorView from "../TensorView.ts"
import * as UniquePaths from "../UniquePaths.ts"

export interface Index {
  readonly weight_map: JsonFile.JsonObject
}

export const isIndex = (json: object): json is Index => "weight_map" in json && JsonFile.isObject(json.weight_map)

/** Whether a file name is that of one shard (`model-00002-of-00003.safetensors`), which is no checkpoint alone. */
export const isOne = (file: string): boolean => Number(/-\d{5}-of-(\d{5})\./.exec(file)?.[1] ?? 1) > 1

/** All shards that the index names; a tensor must be in the shard where the index says, and nowhere else. */
export const read = (
  { weight_map: map }: Index,
  siblings: SiblingFiles.SiblingFiles,
  open: (source: ByteSource.Source) => ParsedFile.ParsedFile,
): ParsedFile.ParsedFile => {
  const shards = new Map<string, ParsedFile.ParsedFile>()
  const views = Flat.empty<TensorView.View>()
  const shardOf = (name: string): ParsedFile.ParsedFile => {
    const source = siblings.open(name)
    try {
      return open(source)
    } catch (thrown) {
      const failure = Failure.fromThrown(thrown)
      throw new Failure.Raised({ ...failure, message: `in the shard ${name}: ${failure.message}` })
    }
  }
  for (const [path, name] of Object.entries(map)) {
    if (typeof name !== "string")
      return Failure.raise("BadHeader", "weight_map of the index must map every tensor to a file name", { path })
    const shard = shards.get(name) ?? shardOf(name)
    shards.set(name, shard)
    const view =
      shard.views[path] ??
      Failure.raise("MissingTensor", `the index says that the shard ${name} has this tensor, but it has not`, { path })
    // storages of different shards may have the same key
    UniquePaths.add(views, path, { ...view, storage: { ...view.storage, key: `${name}:${view.storage.key}` } })
  }
  const [first] = shards.values()
  if (first === undefined) return Failure.raise("NotACheckpoint", "the weight_map of the index is empty", { offset: 0 })
  const unnamed = [...shards].flatMap(([name, shard]) =>
    Object.keys(shard.views)
      .filter((path) => map[path] !== name)
      .map((path) => `${name} holds ${path}, which the index does not name`),
  )
  const all = [...shards.values()]
  // the index is sorted by name; within a shard, tensors have the order of the layers
  const inOrder = [...shards]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, shard]) => Object.keys(shard.views).filter((path) => map[path] === name))
  return {
    format: first.format,
    views: Flat.fromEntries(inOrder.map((path) => [path, views[path]!])),
    scalars: {},
    metadata: Object.assign({}, ...all.map(({ metadata }) => metadata)) as Record<string, string>,
    problems: [...all.flatMap(({ problems }) => problems), ...unnamed],
    verify: () => {
      for (const shard of all) shard.verify()
    },
  }
}
