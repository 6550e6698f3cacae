/** Preloaded by the scripts of this repository: weights in the shared data next to the checkout are found too. No package knows that folder. */
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const folder = fileURLToPath(new URL("../../shared/data/inception", import.meta.url))
const { env } = process
if (env.ADAFM_WEIGHTS === undefined && existsSync(folder)) env.ADAFM_WEIGHTS = folder
