/// <reference lib="webworker" />
/// <reference lib="webworker.asynciterable" />
/** The weights of the embedded network, served with the page. */
import { Failure } from "@adafm/core"

const address = new URL("../../assets/embedded.safetensors", import.meta.url)

/** Where the file is, for messages. */
export const FILE = address.href

export const read = async (): Promise<Uint8Array> => {
  const response = await fetch(address)
  return response.ok
    ? new Uint8Array(await response.arrayBuffer())
    : Failure.raise("NoWeights", `the server answered ${response.status} ${response.statusText}`)
}
