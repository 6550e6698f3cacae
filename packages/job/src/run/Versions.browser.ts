/** What a page knows of the versions of what runs it. */
import { Host } from "@adafm/core"
import { Session } from "@adafm/onnx"

export const versions = async (): Promise<Readonly<Record<string, string>>> => ({
  ...Host.runtime,
  onnxruntime: await Session.version(),
})

export const commit = async (): Promise<string | undefined> => undefined
