/** A network that runs: its session, the execution provider, and the threads that prepare its inputs. */
import { Failure, type NdArray } from "@adafm/core"
import { Session } from "@adafm/onnx"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Preparation from "./Preparation.ts"

const CPU = "cpu"

export interface Running {
  readonly session: Session.Session
  readonly provider: string
  /** Why it is not the provider that was asked for. */
  readonly warnings: readonly string[]
}

export interface Options {
  readonly provider?: string
  readonly threads?: number
}

/** @param model the bytes of an `.onnx` or its path. A provider that is not usable here is replaced by the processor. */
export const start = (
  model: Uint8Array | string,
  { provider = CPU, threads }: Options,
): TE.TaskEither<Failure.Failure, Running> =>
  Failure.attempt(async () => {
    const on = (name: string) => Session.create(model, { provider: name, ...(threads !== undefined && { threads }) })
    const instead = async (reason: string): Promise<Running> => ({
      session: await on(CPU),
      provider: CPU,
      warnings: [`the network ran on ${CPU}, because ${provider} is not usable here: ${reason}`],
    })
    const install = Session.missingLibrary(provider)
    if (install !== undefined) return instead(`its library is missing; fetch it with: ${install}`)
    try {
      return { session: await on(provider), provider, warnings: [] }
    } catch (thrown) {
      if (provider === CPU) throw thrown
      return instead(thrown instanceof Error ? thrown.message.split("\n")[0]! : String(thrown))
    }
  })

/** `x → every output by its name`, `x` being the first input. */
export const runner =
  ({ session }: Running) =>
  async (x: NdArray.NdArray<"float32">) =>
    (await session.run({ [session.inputs[0]!]: x })) as Readonly<Record<string, NdArray.NdArray<"float32">>>

/** The threads that belong to a session, and the end of both. */
export const beside = ({ session, provider, warnings }: Running) => {
  const preparation = Preparation.open()
  return {
    provider,
    warnings,
    preparation,
    close: async (): Promise<void> => {
      await preparation.close()
      await session.release()
    },
  }
}
