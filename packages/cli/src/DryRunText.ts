/** What `transfer --dry-run` says: first what a person wants to know, then what becomes of every parameter. */
import type { Defaults, TransferPlan } from "@adafm/job"
import * as Terminal from "./Terminal.ts"

/** `chosen for 100 images:`, and a line `steps 3000: why` for each choice. */
export const chosen = (choices: readonly Defaults.Choice[], images: number | undefined): string =>
  [
    `chosen for ${images ?? "a hundred"} images:`,
    ...choices.map(({ setting, value, reason }) => `  ${setting} ${value}: ${reason}`),
  ].join("\n")

/** What the JSON document says of the photographs. */
export const images = (
  photos: TransferPlan.Photos,
): Pick<TransferPlan.Photos, "found" | "used" | "doubles" | "small" | "cropped"> & {
  readonly left_out: TransferPlan.Photos["leftOut"]
} => {
  const { found, used, leftOut, doubles, small, cropped } = photos
  return { found, used, left_out: leftOut, doubles, small, cropped }
}

/** Names in a line. */
const NAMED = 5

const named = (names: readonly string[]): string =>
  `${names.slice(0, NAMED).join(", ")}${names.length > NAMED ? `, … (${names.length})` : ""}`

const many = (count: number, one: string, several = `${one}s`): string => `${count} ${count === 1 ? one : several}`

const photosText = (
  { found, used, leftOut, doubles, small, cropped, refused, advice }: TransferPlan.Photos,
  crops: string | undefined,
): readonly string[] => {
  const byReason = new Map<string, string[]>()
  for (const { file, reason } of leftOut) byReason.set(reason, [...(byReason.get(reason) ?? []), file])
  const copies = doubles.reduce((sum, group) => sum + group.length - 1, 0)
  return [
    `photographs: ${found} found, ${used} used`,
    ...[...byReason].map(([reason, files]) => `  left out: ${named(files)} (${reason})`),
    ...(advice === undefined ? [] : [`  ${advice}`]),
    ...(copies === 0
      ? []
      : [
          `  ${many(copies, "double")}, which ${copies === 1 ? "counts" : "count"} twice: ${named(doubles.map((group) => group.join(" = ")))}`,
        ]),
    ...(small.length === 0
      ? []
      : [`  ${many(small.length, "picture")} smaller than the model, enlarged: ${named(small)}`]),
    ...(cropped.length === 0
      ? []
      : [
          `  ${many(cropped.length, "picture")} so wide or tall that the crop leaves less than half: ${named(cropped)}`,
        ]),
    ...(refused ? ["  too many are broken: transfer refuses this set until they are removed or replaced"] : []),
    ...(crops === undefined || used === 0 ? [] : [`  what the network sees of each: ${crops}`]),
  ]
}

const timeText = ({ time, steps }: TransferPlan.DryRun): readonly string[] =>
  time === undefined
    ? []
    : [
        `time on this machine, as busy as it is now: about ${Terminal.duration(time.seconds)}, ${steps} steps of ${(1000 * time.secondsPerStep).toFixed(0)} ms${time.scores === 0 ? "" : ` and ${Terminal.duration(time.scores)} for the scores`}`,
      ]

/** `checkpoints: 10 of 21 MB; the best, the last and 4 more are kept, spread evenly (--keep-gb)` */
const diskText = ({ time }: TransferPlan.DryRun): readonly string[] => {
  if (time === undefined) return []
  const { bytes, written, kept } = time.checkpoints
  const size = bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`
  const all = `${((kept * bytes) / 1e9).toFixed(2)} GB`
  const which =
    kept === written ? "all are kept" : `${kept} are kept, the last one and others spread evenly, and the best`
  return [`disk: ${many(written, "checkpoint")} of ${size}; ${which}: ${all} (--keep-gb sets the limit)`]
}

const fates = ({ fates }: TransferPlan.DryRun): string =>
  Terminal.table([
    ["parameter", "shape", "value", "moves", "from step", "rate"],
    ...fates.map((f) => [
      `${f.network}/${f.path}`,
      `[${f.shape.join(", ")}]`,
      f.from === undefined || f.from === f.path ? f.value : `${f.value} from ${f.from}`,
      f.moves,
      f.unfreezeAt ?? (f.moves === "trainable" ? 0 : ""),
      f.lr === undefined ? "" : `× ${f.lr}`,
    ]),
  ])

export const text = (
  planned: TransferPlan.DryRun,
  photos: TransferPlan.Photos | undefined,
  crops: string | undefined,
): string => {
  const { choices, steps, head } = planned
  const { copied, fresh, frozen, modulated, trainable, total } = planned.plan
  return [
    ...(photos === undefined ? [] : photosText(photos, crops)),
    ...(choices.length === 0 ? [] : [chosen(choices, photos?.used)]),
    ...timeText(planned),
    ...diskText(planned),
    ...planned.warnings.map((warning) => `warning: ${warning}`),
    `recipe ${planned.recipe}, ${steps} steps: ${total} parameters; ${copied} copied, ${fresh} fresh; ${frozen} frozen (${modulated} of them modulated), ${trainable} trainable`,
    ...(["generator", "discriminator"] as const).flatMap((net) => {
      const left = planned.unused[net]
      const shown = `${left.slice(0, 4).join(", ")}${left.length > 4 ? ", …" : ""}`
      return left.length === 0 ? [] : [`${left.length} of the source ${net}'s parameters are not used: ${shown}`]
    }),
    ...(head === undefined
      ? []
      : [
          `small head of ${head.blocks} style ${head.blocks === 1 ? "block" : "blocks"}, ${head.start}, norm ${head.norm}: features of deviation ${head.scale}${head.range === undefined ? "" : ` (channels ${head.range[0]} to ${head.range[1]})`}, gradient ${head.gradient}, last layer at ${head.rate} of the learning rate`,
        ]),
    "",
    fates(planned),
  ].join("\n")
}
