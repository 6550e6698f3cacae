/** The pictures of a run: what it makes now, what it learned from, and how its samples changed. */
import { existsSync, readdirSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { Failure, NdArray } from "@adafm/core"
import { Image, Resize } from "@adafm/data"
import { ModelFolder } from "@adafm/gan"
import { Page } from "@adafm/report"
import * as E from "fp-ts/lib/Either.js"
import * as ImageSelection from "../run/ImageSelection.ts"
import type { Run } from "./RunReading.ts"

export interface Grid {
  readonly file: string
  readonly step: number
}

/** The grids of samples that a run has written, in order of step. */
export const grids = (run: string): readonly Grid[] =>
  readdirSync(run)
    .filter((name) => /^samples-\d+\.png$/.test(name))
    .sort()
    .map((name) => ({ file: join(run, name), step: Number(/\d+/.exec(name)![0]) }))

const read = async ({ file }: Grid): Promise<Image.Rgb> => Failure.orThrow(Image.decode(await readFile(file)))

/** Photographs that are shown. */
const SHOWN = 64

/** Some of the photographs that a run learned from, cropped as it saw them; none where they are not at their place any more. */
const photographs = async ({ config: { data, seed, model } }: Run): Promise<Image.Rgb | undefined> => {
  const size = ModelFolder.ganOf(model).image[0]
  if (!data.path.startsWith("drawn:") && !existsSync(data.path)) return undefined
  const names = data.names === undefined ? {} : { names: data.names }
  const crops = await Failure.attempt(() =>
    ImageSelection.use(data.path, { seed, ...names }, async (set) => {
      const every = Math.max(1, Math.floor(set.names.length / SHOWN))
      const found: Image.Rgb[] = []
      for (let i = 0; i < set.names.length && found.length < SHOWN; i += every) {
        const decoded = await set.decode(i)()
        if (E.isRight(decoded)) found.push(Resize.fit(decoded.right, size))
      }
      return found
    }),
  )()
  return E.isLeft(crops) || crops.right.length === 0
    ? undefined
    : Image.sheet(crops.right, { columns: 8, scale: size < 64 ? 2 : 1 })
}

/** The latest grid, and the photographs beside it. */
export const now = async (run: Run): Promise<readonly Page.Block[]> => {
  const all = grids(run.run)
  const last = all.at(-1)
  if (last === undefined) return []
  const best =
    run.best === undefined || run.best.step === last.step ? undefined : all.find(({ step }) => step === run.best!.step)
  const [samples, photos] = [await readFile(last.file), await photographs(run)]
  return [
    Page.grid({
      pictures: [
        { png: samples, caption: `${run.name}, step ${last.step}: generated` },
        ...(best === undefined
          ? []
          : [
              {
                png: await readFile(best.file),
                caption: `${run.name}, step ${best.step}, the best checkpoint: generated`,
              },
            ]),
        ...(photos === undefined
          ? []
          : [{ png: await Failure.orThrow(Image.png(photos)), caption: "photographs that it learned from" }]),
      ],
    }),
  ]
}

/** The first rows of a picture. */
const top = ({ shape, data }: Image.Rgb, rows: number): Image.Rgb => {
  const [, width = 0] = shape
  return NdArray.make("uint8", [rows, width, 3], data.slice(0, rows * width * 3))
}

/** The first row of every grid, from top to bottom: the same latents along training. The grids themselves are in `details`. */
export const timeline = async (run: Run): Promise<readonly Page.Block[]> => {
  const all = grids(run.run)
  if (all.length < 2) return []
  const pictures = await Promise.all(all.map(read))
  const first = pictures[0]!
  // a grid is square: 8 × 8 pictures with gaps of two pixels
  const row = Math.round((first.shape[0]! + 2) / 8) - 2
  const strip = Image.sheet(
    pictures.map((picture) => top(picture, row)),
    { columns: 1 },
  )
  const steps = all.map(({ step }) => step).join(", ")
  return [
    Page.grid({
      pictures: [
        {
          png: await Failure.orThrow(Image.png(strip)),
          caption: `${run.name}: the same eight latents at steps ${steps}, from top to bottom`,
        },
      ],
    }),
    Page.details(
      `${run.name}: all ${all.length} grids`,
      [
        Page.grid({
          pictures: await Promise.all(
            all.map(async ({ file, step }) => ({ png: await readFile(file), caption: `step ${step}` })),
          ),
        }),
      ],
      "html",
    ),
  ]
}

/** The grids of a run as frames. */
export const frames = async (run: string): Promise<readonly Image.Rgb[]> => Promise.all(grids(run).map(read))
