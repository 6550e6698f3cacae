/** The runs in the browser's private file system: the run folders of the command line, each with the job that a person asked for. */
import { Disk, Failure, Files, Path } from "@adafm/core"
import { Image } from "@adafm/data"
import { ModelFolder, RunFolder } from "@adafm/gan"
import { RunConfig } from "@adafm/job/run/RunConfig"
import { type Unzipped, unzipSync } from "fflate"
import type { Job, Line, Picture, Run } from "../protocol/Protocol.ts"
import * as Pictures from "./Pictures.ts"

export const FOLDER = "/runs"

/** The job, next to what `adafm transfer` writes. */
const jobFile = (run: string): string => Path.join(run, "job.json")

export const remember = async (job: Job): Promise<void> => {
  await Failure.orThrow(Files.write(jobFile(job.run), JSON.stringify(job)))
}

export const jobOf = async (run: string): Promise<Job> => JSON.parse(await Disk.readFile(jobFile(run), "utf8")) as Job

/** Lets a run go on with another engine, whose results are not the same to the bit: its configuration says which engine it has. */
export const useEngine = async (run: string, engine: string): Promise<void> => {
  const file = Path.join(run, "config.json")
  if (!(await Files.exists(file))) return
  const config = await Failure.orThrow(ModelFolder.readJson(RunConfig, file))
  if (config.engine !== engine)
    await Failure.orThrow(Files.write(file, `${JSON.stringify({ ...config, engine }, null, 2)}\n`))
}

const gridsOf = async (run: string): Promise<readonly number[]> =>
  (await Disk.readdir(run))
    .flatMap((name) => /^samples-(\d{8})\.png$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)

const described = async (run: string): Promise<Run> => {
  const job = await jobOf(run)
  const steps = job.settings.steps ?? 0
  const step = (await Failure.orThrow(RunFolder.checkpoints(run))).at(-1) ?? 0
  return { job, step, steps: Math.max(steps, step), grids: await gridsOf(run) }
}

export const list = async (): Promise<readonly Run[]> => {
  if (!(await Files.exists(FOLDER))) return []
  const found: Run[] = []
  for (const name of await Disk.readdir(FOLDER)) {
    const run = Path.join(FOLDER, name)
    if (await Files.exists(jobFile(run))) found.push(await described(run))
  }
  return found.sort((a, b) => (a.job.run < b.job.run ? 1 : -1))
}

export const remove = async (run: string): Promise<undefined> => {
  await Disk.rm(run, { recursive: true, force: true })
  return undefined
}

const gridFile = (run: string, step: number): string => Path.join(run, `samples-${String(step).padStart(8, "0")}.png`)

export const grid = async (run: string, step: number): Promise<Picture> =>
  Pictures.ofRgb(await Failure.orThrow(Image.decode(await Disk.readFile(gridFile(run, step)))))

export const lines = (run: string, name: "stats" | "metric"): Promise<readonly Line[]> =>
  Failure.orThrow(RunFolder.lines(run, name))

/** What a run folder holds; other files of a zip are left out. */
const BELONGS = /^(config\.json|job\.json|(stats|metric)\.jsonl|samples-\d{8}\.png|checkpoints\/\d{8}\.safetensors)$/

const entriesOf = async (files: readonly File[]): Promise<Unzipped> => {
  if (files.length === 1 && /\.zip$/i.test(files[0]!.name))
    return unzipSync(new Uint8Array(await files[0]!.arrayBuffer()), {
      filter: ({ originalSize }) => originalSize < 2 ** 31,
    })
  return Object.fromEntries(
    await Promise.all(
      files.map(
        async (file) => [file.webkitRelativePath || file.name, new Uint8Array(await file.arrayBuffer())] as const,
      ),
    ),
  )
}

/** A run folder, or its zip, from the command line or from another browser. */
export const add = async (files: readonly File[]): Promise<Run> => {
  const entries = await entriesOf(files)
  const config = Object.keys(entries).find((name) => /(^|\/)config\.json$/.test(name))
  if (config === undefined)
    return Failure.raise("NoRun", "expected a run folder or its zip, but there is no config.json in it", {
      file: files[0]?.name ?? "",
    })
  const prefix = config.slice(0, -"config.json".length)
  const parsed = RunConfig.safeParse(JSON.parse(new TextDecoder().decode(entries[config]!)))
  if (!parsed.success) return Failure.raise("BadConfig", Failure.ofIssues(parsed.error.issues, {}), { file: config })
  const name = (prefix.replace(/\/$/, "").split("/").at(-1) || files[0]!.name.replace(/\.zip$/i, "")).replace(
    /[^\w.-]+/g,
    "-",
  )
  const run = Path.join(FOLDER, name)
  if (await Files.exists(run))
    Failure.raise("OutputExists", `there is a run ${name} already: remove it first`, { file: name })
  for (const [path, bytes] of Object.entries(entries)) {
    const own = path.slice(prefix.length)
    if (path.startsWith(prefix) && BELONGS.test(own)) await Failure.orThrow(Files.write(Path.join(run, own), bytes))
  }
  if (!(await Files.exists(jobFile(run)))) {
    const { source, data, seed } = parsed.data
    await remember({
      run,
      name,
      source: source?.path ?? "",
      photographs: data.path,
      images: data.images,
      settings: { seed },
    })
  }
  return described(run)
}
