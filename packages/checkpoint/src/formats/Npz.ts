/** NumPy's `.npz`: a zip file of `.npy` arrays. */
import { Flat } from "@adafm/core"
import type * as ParsedFile from "../ParsedFile.ts"
import type * as TensorView from "../TensorView.ts"
import * as UniquePaths from "../UniquePaths.ts"
import * as ZipReader from "../zip/ZipReader.ts"
import * as Npy from "./Npy.ts"

/** The origin of image statistics, which `adafm` writes next to the arrays. */
const PROVENANCE = "provenance.json"

const arrays = ({ members }: ZipReader.Directory): readonly ZipReader.Member[] =>
  [...members.values()].filter(({ name }) => name !== PROVENANCE)

export const isNpz = (directory: ZipReader.Directory): boolean =>
  arrays(directory).length > 0 && arrays(directory).every(({ name }) => name.endsWith(".npy"))

export const read = (directory: ZipReader.Directory): ParsedFile.ParsedFile => {
  const views = Flat.empty<TensorView.View>()
  for (const member of arrays(directory)) {
    const path = member.name.replace(/\.npy$/, "")
    UniquePaths.add(views, path, Npy.view(member.content, path))
  }
  return {
    format: "npz",
    views,
    scalars: {},
    metadata: {},
    problems: directory.problems,
    verify: () => directory.members.forEach(ZipReader.verify),
  }
}
