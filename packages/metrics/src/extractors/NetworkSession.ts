/** A loaded network: its ONNX Runtime session, the execution provider, and the threads that preprocess its images. */

import { Failure, type NdArray } from "@adafm/core"
import { Session } from "@adafm/onnx"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as PreprocessingThreads from "#extractors/PreprocessingThreads"

const CPU = "cpu"

export interface NetworkSession {
  readonly session: Session.Session
  readonly provider: string
  /** Why the provider is not the requested one. */
  readonly warnings: readonly string[]
}

export interface Options {
  readonly provider?: string
  readonly threads?: number
}

/** @param model the bytes of an `.onnx` or its path. `cpu` replaces a provider that is not usable here, with a warning. */
export const open = (
  model: Uint8Array | string,
  { provider = CPU, threads }: Options,
): TE.TaskEither<Failure.Failure, NetworkSession> =>
  Failure.attempt(async () => {
    const on = (name: string) => Session.create(model, { provider: name, ...(threads !== undefined && { threads }) })
    const onCpu = async (reason: string): Promise<NetworkSession> => ({
      session: await on(CPU),
      provider: CPU,
      warnings: [`the network ran on ${CPU}, because ${provider} is not usable here: ${reason}`],
    })
    const install = Session.missingLibrary(provider)
    if (install !== undefined) return onCpu(`its library is missing; fetch it with: ${install}`)
    try {
      return { session: await on(provider), provider, warnings: [] }
    } catch (thrown) {
      if (provider === CPU) throw thrown
      return onCpu(thrown instanceof Error ? thrown.message.split("\n")[0]! : String(thrown))
    }
  })

/** `x → every output by its name`, where `x` is the first input. */
export const runner =
  ({ session }: NetworkSession) =>
  async (x: NdArray.NdArray<"float32">) =>
    (await session.run({ [session.inputs[0]!]: x })) as Readonly<Record<string, NdArray.NdArray<"float32">>>

/** What an extractor takes from its session: preprocessing threads, and a `close` that ends both. */
export const withPreprocessing = ({ session, provider, warnings }: NetworkSession) => {
  const preprocessing = PreprocessingThreads.open()
  return {
    provider,
    warnings,
    preprocessing,
    close: async (): Promise<void> => {
      await preprocessing.close()
      await session.release()
    },
  }
}
