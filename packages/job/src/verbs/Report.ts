/** A page about runs, with text and numbers next to it; the page again and again while a run lives; its grids as an animation. */
import { basename, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Failure, Files } from "@adafm/core"
import * as PictureFile from "@adafm/data/PictureFile"
import { Page } from "@adafm/report"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as RunPage from "../page/RunPage.ts"
import * as RunPictures from "../page/RunPictures.ts"
import * as RunReading from "../page/RunReading.ts"
import type * as Model from "../run/Model.ts"

export interface Options extends Model.Notes {
  /** Runs, or folders of runs. */
  readonly folders: readonly string[]
  /** The page; `.md` and `.json` are written next to it. */
  readonly out: string
}

export interface Outcome {
  readonly out: string
  readonly files: readonly string[]
  readonly runs: readonly RunReading.RunSummary[]
}

export type { RunSummary } from "../page/RunReading.ts"

const write = async ({ folders, out, onNote }: Options, refresh?: number): Promise<Outcome> => {
  const found = await RunReading.find(folders)
  const read: RunReading.Run[] = []
  for (const folder of found) read.push(await RunReading.read(folder, found, onNote))
  const shown = await RunPage.of(read, refresh)
  const base = out.replace(/\.html$/, "")
  const { text, files } = Page.markdown(shown, `${basename(base)}-figures`)
  const runs = read.map(({ stats: _, name: __, ...summary }): RunReading.RunSummary => summary)
  const written: readonly (readonly [string, string | Uint8Array])[] = [
    [out, Page.html(shown)],
    [`${base}.md`, text],
    [`${base}.json`, `${JSON.stringify({ runs }, null, 2)}\n`],
    ...Object.entries(files).map(([file, bytes]) => [join(base, "..", file), bytes] as const),
  ]
  for (const [file, content] of written) await Failure.orThrow(Files.write(file, content))
  return { out, files: written.map(([file]) => file), runs }
}

export const run = (options: Options): TE.TaskEither<Failure.Failure, Outcome> => Failure.attempt(() => write(options))

export interface Watching {
  /** Seconds between two pages; 10 by default. */
  readonly interval?: number
  readonly shouldStop?: () => boolean
  /** Called after each page. */
  readonly onPage?: (outcome: Outcome) => void
}

/** Writes the page again and again while one of the runs lives, and a last time without the reload. */
export const watch = (
  options: Options,
  { interval = 10, shouldStop = () => false, onPage }: Watching = {},
): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const noted = new Set<string>()
    // each note once, not with every page
    const onNote = (line: string): void => {
      if (!noted.has(line)) options.onNote?.(line)
      noted.add(line)
    }
    const isLive = async (): Promise<boolean> => {
      const runs = await RunReading.find(options.folders)
      return (await Promise.all(runs.map(RunReading.isLive))).some(Boolean)
    }
    while (!shouldStop() && (await isLive())) {
      onPage?.(await write({ ...options, onNote }, interval))
      for (let waited = 0; waited < interval && !shouldStop(); waited++) await sleep(1000)
    }
    const last = await write({ ...options, onNote })
    onPage?.(last)
    return last
  })

/** Writes the grids of one run as an animation, in the format that the file's name says. */
export const timelapse = (
  run: string,
  file: string,
  fps = 3,
): TE.TaskEither<Failure.Failure, { readonly file: string; readonly frames: number }> =>
  Failure.attempt(async () => {
    if (!PictureFile.isAnimation(file))
      Failure.raise("UnknownFormat", "a timelapse is written as .gif, .webp, .mp4 or .webm", { file })
    const [found] = await RunReading.find([run])
    const frames = await RunPictures.frames(found!)
    if (frames.length < 2)
      Failure.raise("TooFew", `a timelapse needs 2 or more grids of samples, and this run has ${frames.length}`, {
        file: run,
      })
    await Failure.orThrow(PictureFile.animate(file, { frames, fps, rest: 2000 }))
    return { file, frames: frames.length }
  })
