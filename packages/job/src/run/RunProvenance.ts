/** With what a run was made: versions, commit, the command and its settings. It has no effect on the numbers and is not compared on resuming. */
import { z } from "zod"
import * as Versions from "#run/Versions"

export const RunProvenance = z.strictObject({
  /** Of adafm, Node, ONNX Runtime and the image decoder. */
  versions: z.record(z.string(), z.string()).readonly(),
  /** Of the clone that the code ran from, with `+changes` if files were changed; absent for installed packages. */
  commit: z.string().optional(),
  /** The command as it was typed. */
  command: z.string().optional(),
  /** All settings by the names of their flags, the chosen ones included: `--config` repeats a run from them. */
  settings: z.record(z.string(), z.unknown()).readonly().optional(),
})
export type RunProvenance = z.output<typeof RunProvenance>

/** How a run was asked for. */
export type Invocation = Pick<RunProvenance, "command" | "settings">

export { versions } from "#run/Versions"

export const of = async (invocation: Invocation = {}): Promise<RunProvenance> => {
  const commit = await Versions.commit()
  return { versions: await Versions.versions(), ...(commit !== undefined && { commit }), ...invocation }
}

/** `onnxruntime 1.29.0, now 1.30.0`: what has another version than when the run was begun. */
export const changed = (made: RunProvenance, now: RunProvenance["versions"]): readonly string[] =>
  Object.entries(made.versions).flatMap(([name, then]) =>
    now[name] === undefined || now[name] === then ? [] : [`${name} ${then}, now ${now[name]}`],
  )
