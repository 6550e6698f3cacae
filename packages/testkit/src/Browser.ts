/** Pages in headless Chromium. Tests that need it are skipped where it is not installed. */
import { existsSync } from "node:fs"
import { chromium, type Page } from "playwright-core"

const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
]

/** Path of the browser: the one that the environment variable `CHROMIUM` names, or one in a usual place. */
export const executable = (): string | undefined =>
  [process.env.CHROMIUM, ...PLACES].find((path) => path !== undefined && existsSync(path))

/** For `describe.skipIf(...)`: true, with a message on stderr, where there is no browser. */
export const missing = (): boolean => {
  const absent = executable() === undefined
  if (absent) console.warn("skipped: no Chromium found; install it, or set CHROMIUM to its path")
  return absent
}

export interface View {
  /** CSS pixels. */
  readonly width: number
  readonly height: number
  readonly scheme: "light" | "dark"
}

export const PHONE = { width: 390, height: 844 } as const
export const DESKTOP = { width: 1280, height: 900 } as const

/** No sandbox, which containers lack, and no network traffic of the browser itself. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
]

/** An open page, the addresses that it requested besides its own, and its errors. */
export interface Opened {
  readonly page: Page
  readonly requests: readonly string[]
  readonly errors: readonly string[]
}

/** Opens an address (`file:` or `http:`) and closes the browser when `body` is done. */
export const visit = async <A>(
  address: string,
  { width, height, scheme }: View,
  body: (opened: Opened) => Promise<A>,
): Promise<A> => {
  const browser = await chromium.launch({ executablePath: executable()!, args: ARGUMENTS })
  try {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme })
    const page = await context.newPage()
    const [requests, errors]: string[][] = [[], []]
    page.on("request", (request) => {
      if (request.url() !== address && !request.url().startsWith("data:")) requests!.push(request.url())
    })
    page.on("pageerror", (error) => errors!.push(error.message))
    page.on("console", (message) => {
      if (message.type() === "error") errors!.push(message.text())
    })
    await page.goto(address, { waitUntil: "load" })
    return await body({ page, requests: requests!, errors: errors! })
  } finally {
    await browser.close()
  }
}

/** The measures of a page, CSS pixels. If `scroll` exceeds `width`, the page scrolls sideways. */
export interface Layout {
  readonly width: number
  readonly scroll: number
  /** The computed background colour. */
  readonly paper: string
  /** Width of every picture's file, pixels; 0 if it did not load. */
  readonly pictures: readonly number[]
  /** Width of every chart, CSS pixels. */
  readonly charts: readonly number[]
}

/** JavaScript as text, because this project is compiled without the DOM's types. */
const MEASURE = `({
  width: document.documentElement.clientWidth,
  scroll: document.documentElement.scrollWidth,
  paper: getComputedStyle(document.body).backgroundColor,
  pictures: [...document.images].map((image) => image.naturalWidth),
  charts: [...document.querySelectorAll("figure svg")].map((chart) => chart.getBoundingClientRect().width),
})`

export const layout = (page: Page): Promise<Layout> => page.evaluate<Layout>(MEASURE)
