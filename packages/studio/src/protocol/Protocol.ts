/** What the page and its worker say to each other. Everything is plain data, or bytes that are handed over. */
import type { Failure } from "@adafm/core"

/** Where the arithmetic runs, and why there. */
export interface Engine {
  readonly provider: "cpu" | "webgpu"
  /** `WebGPU on NVIDIA …` or `WebAssembly, 4 threads`. */
  readonly name: string
  readonly reason: string
}

/** A picture for the page: 8-bit RGBA. */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly data: Uint8ClampedArray<ArrayBuffer>
}

export interface Kept {
  readonly name: string
  /** The square that the network sees. */
  readonly crop: Picture
}

export interface LeftOut {
  readonly name: string
  readonly reason: string
}

/** Photographs that were dropped, and the folder in the browser's private file system that holds them. */
export interface Photographs {
  readonly folder: string
  readonly kept: readonly Kept[]
  readonly leftOut: readonly LeftOut[]
}

/** A source to start from. */
export interface Source {
  /** `builtin:NAME` or a folder in the browser's private file system. */
  readonly path: string
  readonly name: string
  readonly about: string
}

/** What a person may change; what is missing is chosen. */
export interface Settings {
  readonly recipe?: string
  readonly steps?: number
  readonly learningRate?: number
  readonly batch?: number
  readonly augment?: readonly ("color" | "translation" | "cutout")[]
  readonly seed?: number
  /** Steps between two checkpoints, grids and scores. */
  readonly every?: number
}

export interface Choice {
  readonly setting: string
  readonly value: string
  readonly reason: string
}

export interface Plan {
  readonly size: number
  readonly steps: number
  readonly every: number
  readonly choices: readonly Choice[]
  /** Photographs that are kept apart to score with; none if there are too few. */
  readonly heldOut: number
}

/** A training as it is asked for; kept in its run folder, so that a reload can go on. */
export interface Job {
  readonly run: string
  readonly name: string
  readonly source: string
  readonly photographs: string
  readonly images: number
  readonly settings: Settings
}

export type Line = Readonly<Record<string, number | string | Readonly<Record<string, string>>>>

export interface Run {
  readonly job: Job
  readonly step: number
  readonly steps: number
  /** Steps that have a grid. */
  readonly grids: readonly number[]
}

/** What a training tells while it runs. */
export type News =
  | { readonly kind: "phase"; readonly text: string }
  | { readonly kind: "note"; readonly text: string }
  | {
      readonly kind: "step"
      readonly step: number
      readonly steps: number
      readonly stats: Readonly<Record<string, number>>
      readonly secondsPerStep: number
    }
  | { readonly kind: "grid"; readonly step: number; readonly picture: Picture }
  | { readonly kind: "score"; readonly line: Line }

export interface Opened {
  readonly name: string
  readonly size: number
  /** Numbers of a latent vector. */
  readonly latent: number
  readonly labels: number
  readonly mixes: boolean
  /** Which parameters the slider from source to target moves; none without a source of the same architecture. */
  readonly fades: "all" | "modulation" | "none"
  readonly hasPhotographs: boolean
}

/** A point between samples: weights that add up to 1. */
export type Place = readonly { readonly sample: number; readonly weight: number }[]

export interface Look {
  readonly places: readonly Place[]
  /** 1: as drawn; smaller numbers pull towards the average picture. */
  readonly truncation: number
  /** 0: the source; 1: the trained generator. */
  readonly fade: number
  /** The sample whose style the upper layers take, and the first style block that takes it. */
  readonly style?: { readonly sample: number; readonly from: number }
}

export interface Neighbour {
  readonly name: string
  readonly distance: number
  readonly crop: Picture
}

export type Takeaway = "onnx" | "safetensors" | "run" | "grid" | "walk"

export interface File_ {
  readonly name: string
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** What the page asks of the worker. Each answers with a promise. */
export interface Calls {
  start: (given: { readonly provider?: "cpu" | "webgpu"; readonly threads?: number }) => {
    readonly engine: Engine
    readonly runs: readonly Run[]
    readonly sources: readonly Source[]
  }
  addPhotographs: (files: readonly File[], size: number) => Photographs
  photographs: (folder: string, size: number) => Photographs
  addSource: (files: readonly File[]) => Source
  addRun: (files: readonly File[]) => Run
  zip: (folder: string) => File_
  plan: (job: Omit<Job, "run" | "name">) => Plan
  train: (job: Job) => { readonly step: number; readonly steps: number; readonly stopped: boolean }
  stop: () => undefined
  runs: () => readonly Run[]
  removeRun: (run: string) => undefined
  grid: (run: string, step: number) => Picture
  lines: (run: string, name: "stats" | "metric") => readonly Line[]
  open: (path: string) => Opened
  look: (wanted: Look) => readonly Picture[]
  nearest: (place: Place, truncation: number) => readonly Neighbour[]
  take: (run: string, what: Takeaway) => File_
}

export type Call = keyof Calls
export interface Request {
  readonly id: number
  readonly call: Call
  readonly given: readonly unknown[]
}
export type Reply =
  | { readonly kind: "result"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly failure: Failure.Failure }
  | { readonly kind: "news"; readonly news: News }
