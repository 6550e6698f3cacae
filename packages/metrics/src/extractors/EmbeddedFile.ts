/** The weights of the embedded network, a file of this package. */
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"

/** Where the file is, for messages. */
export const FILE = fileURLToPath(new URL("../../assets/embedded.safetensors", import.meta.url))

export const read = (): Promise<Uint8Array> => readFile(FILE)
