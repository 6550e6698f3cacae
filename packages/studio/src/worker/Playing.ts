/** Pictures of a generator, from places between its samples. */
import { Failure, Files, Flat, NdArray, Path } from "@adafm/core"
import { ImageSet, Resize } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { Gan, type State } from "@adafm/gan"
import * as Model from "@adafm/job/run/Model"
import * as Sampler from "@adafm/job/run/Sampler"
import * as ModulationFade from "@adafm/job/run/sheet/ModulationFade"
import * as E from "fp-ts/lib/Either.js"
import type { Look, Neighbour, Opened, Picture, Place } from "../protocol/Protocol.ts"
import * as EngineChoice from "./EngineChoice.ts"
import * as Pictures from "./Pictures.ts"
import * as Runs from "./Runs.ts"
import * as Sources from "./Sources.ts"

interface Playing {
  readonly model: Model.Model
  readonly sampler: Sampler.Generator
  readonly fade: (t: number) => State.Params
  readonly fades: Opened["fades"]
  readonly photographs: string | undefined
  /** The part of the way from the source at which the sampler's parameters are. */
  at: number
  style: number | undefined
}

let playing: Playing | undefined

const current = (): Playing => playing ?? Failure.raise("NoModel", "no generator is open")

/** Parameters on the straight way between two generators; those of another shape, such as the embedding of classes, stay. */
const between = (from: State.Params, to: State.Params, t: number): State.Params =>
  Flat.map(to, (array, path) => {
    const start = from[path]
    if (start?.shape.join() !== array.shape.join()) return array
    return NdArray.float32(
      array.shape,
      array.data.map((end, i) => start.data[i]! + t * (end - start.data[i]!)),
    )
  })

const architectureOf = ({ gan }: Pick<Model.Model, "gan">): string => Gan.plain(gan.config).architecture

const sourceOf = async (path: string): Promise<Model.Model | undefined> => {
  if (!(await Files.exists(Path.join(path, "job.json")))) return undefined
  const { source } = await Runs.jobOf(path)
  try {
    await Sources.ready(source)
    return await Failure.orThrow(Model.open(source))
  } catch {
    return undefined // the source is not on this computer: only the modulation can be taken back
  }
}

/** All parameters, if the source's own head was kept; otherwise only the modulation can be taken back. */
const fading = (model: Model.Model, source: Model.Model | undefined): Pick<Playing, "fade" | "fades"> => {
  const own = model.modulation?.generator
  const modulated = (t: number): State.Params =>
    own === undefined ? model.generator : ModulationFade.parameters(own, model.generator, t)
  if (source !== undefined && architectureOf(source) === architectureOf(model))
    return { fades: "all", fade: (t) => between(source.generator, modulated(t), t) }
  return { fades: own === undefined ? "none" : "modulation", fade: modulated }
}

export const open = async (path: string): Promise<Opened> => {
  await Sources.ready(path)
  const model = await Failure.orThrow(Model.open(path))
  await playing?.sampler.dispose()
  const job = (await Files.exists(Path.join(path, "job.json"))) ? await Runs.jobOf(path) : undefined
  const source = await sourceOf(path)
  const sampler = await Sampler.open(model, await EngineChoice.engine(), 8)
  const photographs = job !== undefined && (await Files.exists(job.photographs)) ? job.photographs : undefined
  playing = { model, sampler, ...fading(model, source), photographs, at: 1, style: undefined }
  const { gan } = model
  return {
    name: job?.name ?? path,
    size: gan.image[0],
    latent: gan.latent.dim,
    labels: gan.labels,
    mixes: architectureOf(model) === "gpgan-small-head",
    fades: playing.fades,
    hasPhotographs: photographs !== undefined,
  }
}

/** Keeps the length of a mixture of normal vectors that of one of them: a plain mean would lie nearer to the average picture. */
const mixed = (gan: Gan.Gan, place: Place, truncation: number): Engine.Arrays => {
  const parts = place.map(({ sample }) => Sampler.inputs(gan, 0, [sample]))
  const norm = gan.latent.distribution === "normal" ? Math.hypot(...place.map(({ weight }) => weight)) || 1 : 1
  return Flat.map(parts[0]!, (first, name) => {
    if (first.dtype !== "float32") return first
    const data = new Float32Array(first.data.length)
    place.forEach(({ weight }, k) => {
      const from = parts[k]![name]!.data
      for (let i = 0; i < data.length; i++) data[i]! += (weight / norm) * from[i]!
    })
    if (name === "z") for (let i = 0; i < data.length; i++) data[i]! *= truncation
    return NdArray.float32(first.shape, data)
  })
}

const stackOf = (rows: readonly Engine.Arrays[]): Engine.Arrays =>
  Flat.map(rows[0]!, (first, name) => {
    const stacked = NdArray.zeros(first.dtype, [rows.length, ...first.shape.slice(1)])
    rows.forEach((row, i) => {
      stacked.data.set(row[name]!.data, i * first.data.length)
    })
    return stacked
  })

const restyled = async (p: Playing, style: Look["style"]): Promise<void> => {
  if (p.style === style?.from) return
  await p.sampler.dispose()
  const sampler = await Sampler.open(p.model, await EngineChoice.engine(), 8, { mixFrom: style?.from ?? 0 })
  sampler.use(p.fade(p.at))
  playing = { ...p, sampler, style: style?.from }
}

const batchOf = async ({ places, truncation, fade, style }: Look): Promise<NdArray.NdArray<"float32">> => {
  await restyled(current(), style)
  const p = current()
  if (p.at !== fade) {
    p.sampler.use(p.fade(fade))
    p.at = fade
  }
  const { gan } = p.model
  const rows = places.map((place) => ({
    ...mixed(gan, place, truncation),
    ...(style !== undefined && { "mix/z": mixed(gan, [{ sample: style.sample, weight: 1 }], truncation).z! }),
  }))
  return p.sampler.images(stackOf(rows))
}

export const look = async (wanted: Look): Promise<readonly Picture[]> => Pictures.ofBatch(await batchOf(wanted))

/** Nearest in pixels after both are blurred to 8 × 8: a copy is found, a similar layout too. */
const GLANCE = 8
const NEIGHBOURS = 3

export const nearest = async (place: Place, truncation: number): Promise<readonly Neighbour[]> => {
  const { model, photographs } = current()
  if (photographs === undefined)
    return Failure.raise("NoImages", "the photographs of this run are not on this computer")
  const [picture] = await look({ places: [place], truncation, fade: 1 })
  const { width, height, data } = picture!
  const rgb = new Uint8Array(width * height * 3)
  for (let i = 0, j = 0; i < data.length; i += 4) for (let k = 0; k < 3; k++) rgb[j++] = data[i + k]!
  const glance = (image: NdArray.NdArray<"uint8">): Uint8Array => Resize.fit(image, GLANCE).data
  const own = glance(NdArray.make("uint8", [height, width, 3], rgb))
  const set = await Failure.orThrow(ImageSet.open(photographs))
  const found: Neighbour[] = []
  for (const [i, name] of set.names.entries()) {
    const decoded = await set.decode(i)()
    if (E.isLeft(decoded)) continue
    const crop = Resize.fit(decoded.right, model.gan.image[0])
    const other = glance(crop)
    const squares = own.reduce((sum, v, k) => sum + (v - other[k]!) ** 2, 0)
    found.push({ name, distance: Math.sqrt(squares / own.length) / 255, crop: Pictures.ofRgb(crop) })
  }
  return found.sort((a, b) => a.distance - b.distance).slice(0, NEIGHBOURS)
}
