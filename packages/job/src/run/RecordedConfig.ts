/** The configuration of a run that is already in its folder: what may differ from the one that is asked for, and still is the same run. */
import { Failure, Files, Path } from "@adafm/core"
import { ModelFolder } from "@adafm/gan"
import { RunConfig } from "./RunConfig.ts"
import * as RunProvenance from "./RunProvenance.ts"

export interface Asked {
  /** The run folder. */
  readonly out: string
  readonly invocation?: RunProvenance.Invocation
  readonly onNote?: (line: string) => void
}

type Source = NonNullable<RunConfig["source"]>

/** Older versions recorded no hash, or that of the source's import, and no surgery: what they did not record counts as equal. */
const sourceAsWritten = (there: Source, here: Source, { source }: RunConfig["model"]): Source => ({
  ...here,
  ...(Path.resolve(there.path) === Path.resolve(here.path) && { path: there.path }),
  ...(["", source?.sha256].includes(there.sha256) && { sha256: there.sha256 }),
  ...(there.surgery === undefined && { raw: there.raw, surgery: there.surgery }),
  // what was decided follows from the values and the groups that train, which are compared
  decided: there.decided,
})

/** The model with the recorded norm of its head: older versions had only that of the authors, and did not record it. */
const modelAsWritten = (there: RunConfig["model"], here: RunConfig["model"]): RunConfig["model"] => {
  if (there.config.architecture !== "gpgan-small-head" || here.config.architecture !== "gpgan-small-head") return here
  if (there.config.head_norm !== undefined || here.config.head_norm !== "authors") return here
  const { head_norm: _, ...config } = here.config
  return { ...here, config }
}

/** The configuration with the recorded paths, if the same images have moved or the source's path is written in another way. */
export const asWritten = async (config: RunConfig, { out, invocation, onNote }: Asked): Promise<RunConfig> => {
  const file = Path.join(out, "config.json")
  if (!(await Files.exists(file))) return { ...config, made: await RunProvenance.of(invocation) }
  const written = await Failure.orThrow(ModelFolder.readJson(RunConfig, file))
  const [from, to] = [written.source, config.source]
  const { path, images } = written.data
  const changes = written.made === undefined ? [] : RunProvenance.changed(written.made, await RunProvenance.versions())
  if (changes.length > 0) onNote?.(`this run was begun with other versions: ${changes.join("; ")}`)
  const { threads: _, ...rest } = config
  return {
    ...rest,
    ...(written.threads !== undefined && { threads: written.threads }),
    model: modelAsWritten(written.model, config.model),
    made: written.made,
    // older versions counted images that cannot be decoded
    ...(written.data.sha256 === config.data.sha256 && { data: { ...config.data, path, images } }),
    ...(from && to && { source: sourceAsWritten(from, to, config.model) }),
  }
}
