import { spawn } from "node:child_process"
import { resolve } from "node:path"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"

const shape = {
  port: Values.integer.default(8737),
  runs: Values.text.default("runs"),
  open: Values.flag.default(false),
}

const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly [command: string, ...args: readonly string[]]>>> = {
  darwin: ["open"],
  win32: ["cmd", "/c", "start", ""],
}

/** Opens the address in the user's browser; where there is none, the printed address remains. */
const show = (address: string): void => {
  const [command, ...args] = OPENERS[process.platform] ?? ["xdg-open"]
  spawn(command, [...args, address], { detached: true, stdio: "ignore" })
    .on("error", () => {})
    .unref()
}

export const studio: Verb.Verb<typeof shape> = {
  name: "studio",
  about: "open the studio: train and play in the browser, on this computer only",
  flags: [
    ["--open", "open the page in the browser"],
    ["--port <n>", "port on 127.0.0.1 (default 8737; 0 takes a free one)"],
    ["--runs <folder>", "the folder whose runs the page lists (default runs)"],
  ],
  shape,
  run: async ({ options: { port, runs, open }, terminal }) => {
    const [{ BundledModels }, Site, StudioServer, NativeTransfer] = await Promise.all([
      import("@adafm/job"),
      import("../studio/Site.ts"),
      import("../studio/StudioServer.ts"),
      import("../studio/NativeTransfer.ts"),
    ])
    const site = await Site.ready(() => terminal.note("building the page, once …"))
    const server = await StudioServer.open({
      site,
      models: BundledModels.folder,
      runs: resolve(runs),
      port,
      train: NativeTransfer.start,
    })
    terminal.note(`the studio is at ${server.address} (Ctrl-C ends it)`)
    if (open) show(server.address)
    const isOver = terminal.heedInterrupts()
    while (!isOver()) await new Promise((wake) => setTimeout(wake, 200))
    await server.close()
    return { json: { address: server.address }, text: "" }
  },
}
