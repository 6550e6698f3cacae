/** What generators make: every variant from the same latents, and beside it the training images that these resemble most. */
import { readFile } from "node:fs/promises"
import { Failure } from "@adafm/core"
import { DecodeMany, Image, Resize } from "@adafm/data"
import { type Grid, Page } from "@adafm/report"
import * as ExperimentResults from "../judge/ExperimentResults.ts"
import * as TargetImages from "../material/TargetImages.ts"
import * as CellRunner from "../run/CellRunner.ts"
import type * as ExperimentPlan from "../run/ExperimentPlan.ts"

/** Samples in a row, as `Score` lays them out. */
const COLUMNS = 10

/** A target's finished cells of the first draw that left pictures. */
const shownOf = (found: ExperimentResults.Results, target: string) =>
  ExperimentResults.firstOf(found, target).flatMap(({ entry, result }) => {
    const file = CellRunner.samplesOf(entry.order.id)
    return file === undefined ? [] : [{ entry, result, file }]
  })

/** Photographs by name, as the networks saw them. */
const photographs = async (
  { order, target }: ExperimentPlan.Entry,
  names: readonly string[],
  size: number,
): Promise<ReadonlyMap<string, Image.Rgb>> => {
  const { path } = order.places.train
  const found = new Map<string, Image.Rgb>()
  await TargetImages.withImages({ path, names: [...new Set(names)] }, async (set) => {
    await Failure.orRaise(
      DecodeMany.forEach(set, ({ place, image }) => void found.set(set.names[place]!, Resize.fit(image, size))),
    )
  })
  if (found.size === 0)
    Failure.raise("NoImages", `none of the nearest images of ${target.name} is here`, { file: path })
  return found
}

/** The training images nearest to the samples of one cell, in their order. */
const nearest = async (entry: ExperimentPlan.Entry, { nearest, size }: CellRunner.Result): Promise<Grid.Picture> => {
  const names = nearest.map(({ image }) => image)
  const images = await photographs(entry, names, size)
  const own = names.flatMap((name) => images.get(name) ?? [])
  const sheet = Image.sheet(own, { columns: COLUMNS, scale: size < 64 ? 2 : 1 })
  const caption = entry.variant.title
  return { png: await Failure.orRaise(Image.png(sheet)), caption, alt: `${caption}, training images` }
}

const CREDIT: Readonly<Record<string, string>> = {
  flowers:
    "Generated images; the generators learned from photographs of the TensorFlow flowers set, licensed CC-BY by the photographers that its LICENSE.txt names.",
  horse: "Generated images; the generators learned from the horses of CIFAR-10 (Krizhevsky 2009).",
  ship: "Generated images; the generators learned from the ships of CIFAR-10 (Krizhevsky 2009).",
  "drawn:flowers": "Generated images; the generators learned from pictures that this project's own program drew.",
}

/** Walks between samples and the mixing of their styles, of cells that left such pictures. */
const analysis = async (found: ExperimentResults.Results, target: string): Promise<readonly Page.Block[]> => {
  const blocks: Page.Block[] = []
  for (const { entry } of ExperimentResults.firstOf(found, target)) {
    const { title, id } = entry.variant
    const asked = [
      ["from each sample to the next, on the sphere of their latents", CellRunner.walkOf(entry.order.id)],
      ["layouts of some samples (rows) with the styles of others (columns)", CellRunner.mixingOf(entry.order.id)],
    ] as const
    const pictures: Grid.Picture[] = []
    for (const [what, file] of asked)
      if (file !== undefined) pictures.push({ png: await readFile(file), caption: `${target}: ${title}, ${what}` })
    if (pictures.length === 0) continue
    const only = found.experiment.analysed.includes(id) ? undefined : "html"
    blocks.push(Page.details(`${target}: walks and styles, ${title}, first draw`, [Page.grid({ pictures })], only))
  }
  return blocks
}

export const blocks = async (found: ExperimentResults.Results, target: string): Promise<readonly Page.Block[]> => {
  const shown = shownOf(found, target)
  if (shown.length === 0) return []
  const pictures = await Promise.all(
    shown.map(async ({ entry: { variant }, file }) => {
      const caption = `${target}: ${variant.title}`
      return { png: await readFile(file), caption, alt: `${caption}, generated images` }
    }),
  )
  const beside: Grid.Picture[] = []
  for (const { entry, result } of shown) if (result.nearest.length > 0) beside.push(await nearest(entry, result))
  return [
    Page.text(`From the same latents, not chosen, first draw. ${CREDIT[target] ?? ""}`.trim()),
    Page.grid({ pictures }),
    ...(beside.length === 0
      ? []
      : [
          Page.details(
            `${target}: the training image nearest to each sample, in the same order`,
            [Page.grid({ pictures: beside })],
            "html",
          ),
        ]),
    ...(await analysis(found, target)),
  ]
}
