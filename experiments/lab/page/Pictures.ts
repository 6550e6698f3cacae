/** Generated images: samples of every variant from the same latents, their nearest training images, walks and mixed styles. */
import { readFile } from "node:fs/promises"
import { Failure } from "@adafm/core"
import { DecodeMany, Image, Resize } from "@adafm/data"
import { Page, type PictureGrid } from "@adafm/report"
import * as ExperimentResults from "../judge/ExperimentResults.ts"
import * as TargetImages from "../material/TargetImages.ts"
import * as CellRunner from "../run/CellRunner.ts"
import type * as ExperimentPlan from "../run/ExperimentPlan.ts"

/** Samples in a row, as in the sheets that `CheckpointScores` writes. */
const COLUMNS = 10

/** A target's finished cells of the first draw that have pictures. */
const shownOf = (found: ExperimentResults.Results, target: string) =>
  ExperimentResults.firstOf(found, target).flatMap(({ entry, result }) => {
    const file = CellRunner.samplesOf(entry.order.id)
    return file === undefined ? [] : [{ entry, result, file }]
  })

/** Photographs by name, cropped and resized as for training. */
const photographs = async (
  { order, target }: ExperimentPlan.Entry,
  names: readonly string[],
  size: number,
): Promise<ReadonlyMap<string, Image.Rgb>> => {
  const { path } = order.places.train
  const found = new Map<string, Image.Rgb>()
  await TargetImages.withImages({ path, names: [...new Set(names)] }, async (set) => {
    await Failure.orThrow(
      DecodeMany.forEach(set, ({ place, image }) => void found.set(set.names[place]!, Resize.fit(image, size))),
    )
  })
  if (found.size === 0)
    Failure.raise("NoImages", `none of the nearest training images of ${target.name} was found`, { file: path })
  return found
}

/** The training images nearest to the samples of one cell, in the order of the samples. */
const nearest = async (
  entry: ExperimentPlan.Entry,
  { nearest, size }: CellRunner.Result,
): Promise<PictureGrid.Picture> => {
  const names = nearest.map(({ image }) => image)
  const images = await photographs(entry, names, size)
  const own = names.flatMap((name) => images.get(name) ?? [])
  const sheet = Image.sheet(own, { columns: COLUMNS, scale: size < 64 ? 2 : 1 })
  const caption = entry.variant.title
  return { png: await Failure.orThrow(Image.png(sheet)), caption, alt: `${caption}, training images` }
}

const CREDIT: Readonly<Record<string, string>> = {
  flowers:
    "Generated images; the generators were trained on photographs of the TensorFlow flowers set, licensed CC-BY by the photographers named in its LICENSE.txt.",
  horse: "Generated images; the generators were trained on the horses of CIFAR-10 (Krizhevsky 2009).",
  ship: "Generated images; the generators were trained on the ships of CIFAR-10 (Krizhevsky 2009).",
  "drawn:flowers": "Generated images; the generators were trained on pictures that this project's own program draws.",
}

/** Walks between samples and mixed styles, of cells that have such pictures. */
const analysis = async (found: ExperimentResults.Results, target: string): Promise<readonly Page.Block[]> => {
  const blocks: Page.Block[] = []
  for (const { entry } of ExperimentResults.firstOf(found, target)) {
    const { title, id } = entry.variant
    const asked = [
      ["from each sample to the next, on the sphere of their latents", CellRunner.walkOf(entry.order.id)],
      ["layouts of some samples (rows) with the styles of others (columns)", CellRunner.mixingOf(entry.order.id)],
    ] as const
    const pictures: PictureGrid.Picture[] = []
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
  const sheets: PictureGrid.Picture[] = []
  for (const { entry, result } of shown) if (result.nearest.length > 0) sheets.push(await nearest(entry, result))
  return [
    Page.text(`The same latents for every variant, not selected, first draw. ${CREDIT[target] ?? ""}`.trim()),
    Page.grid({ pictures }),
    ...(sheets.length === 0
      ? []
      : [
          Page.details(
            `${target}: the training image nearest to each sample, in the same order`,
            [Page.grid({ pictures: sheets })],
            "html",
          ),
        ]),
    ...(await analysis(found, target)),
  ]
}
