/** Where the built page is: static files, which `adafm studio` serves. */
import { fileURLToPath } from "node:url"

/** The folder of the page, with `index.html` in it. */
export const folder = fileURLToPath(new URL("./dist", import.meta.url))
