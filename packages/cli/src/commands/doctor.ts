import * as Terminal from "../Terminal.ts"
import type * as Verb from "../Verb.ts"

export const doctor: Verb.Verb<Record<never, never>> = {
  name: "doctor",
  about: "report which engines, providers and weights work here, and how to install what is missing",
  flags: [],
  shape: {},
  run: async () => {
    const { Doctor } = await import("@adafm/job")
    const health = await Doctor.examine(undefined, Terminal.command)
    const row = (
      name: string,
      good: boolean,
      about: string,
      fix: string | undefined,
    ): readonly (readonly string[])[] => [
      [`  ${name}`, good ? "yes" : "no", about],
      ...(fix === undefined ? [] : [["", "", `fix it with: ${fix}`]]),
    ]
    const text = [
      `node ${health.node}, default engine ${health.default ?? "none"}`,
      Terminal.table([
        ["engines", "", ""],
        ...health.engines.flatMap(({ name, available, reason, version, providers = [], fix }) => [
          ...row(name, available, reason ?? version ?? "", fix),
          ...providers.flatMap((p) => row(`${name}/${p.name}`, p.available, p.reason ?? "", p.fix)),
        ]),
        ["images", "", ""],
        ...row(
          "decoder",
          health.images.available,
          health.images.version ?? "sharp cannot be loaded",
          health.images.fix,
        ),
        ["models", "", ""],
        ...health.models.flatMap(({ name, about }) => row(name, true, about, undefined)),
        ["weights", "", ""],
        ...health.weights.flatMap(({ name, present, path, about, fix }) => row(name, present, path ?? about, fix)),
      ]),
    ].join("\n")
    return { json: health, text }
  },
}
