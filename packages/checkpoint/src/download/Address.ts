/** Addresses of downloads. A name and a password in one are sent in a header to that server alone, and appear in no message. */
import { Failure } from "@adafm/core"

export interface Address {
  /** Without name and password. */
  readonly url: URL
  /** The header of the server that the name and the password are for. */
  readonly authorization?: string
}

/** An address for messages: without the query too, which may hold a signature. */
export const shown = ({ origin, pathname }: URL): string => `${origin}${pathname}`

/** Whether downloads from it are possible: only http and https. */
export const isWeb = ({ protocol }: URL): boolean => protocol === "https:" || protocol === "http:"

/** @param what names the address in a failure, as the text itself may hold a password. Raises `BadAddress`. */
export const parse = (text: string, what: string): Address => {
  const parsed = URL.canParse(text) ? new URL(text) : undefined
  if (parsed === undefined || !isWeb(parsed))
    return Failure.raise(
      "BadAddress",
      `${what} must begin with https:// or http://, and ${parsed === undefined ? "is no address" : `begins with ${parsed.protocol}`}`,
    )
  const { username, password } = parsed
  const url = new URL(parsed)
  url.username = ""
  url.password = ""
  if (username === "" && password === "") return { url }
  const secret = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { url, authorization: `Basic ${Buffer.from(secret).toString("base64")}` }
}

/** Redirects followed: object stores need one or two. */
const MAX_REDIRECTS = 5

/** Follows redirects to http(s) only, and never from https to http. */
export const request = async (
  { url: first, authorization }: Address,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Response> => {
  let url = first
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const isOwn = url.origin === first.origin
    const response = await fetch(url, {
      headers: { ...headers, ...(authorization !== undefined && isOwn && { authorization }) },
      redirect: "manual",
      signal,
    })
    const location = response.headers.get("location")
    if (response.status < 300 || response.status >= 400 || location === null) return response
    await response.body?.cancel()
    if (!URL.canParse(location, url.href))
      return Failure.raise("BadRedirect", `refused the redirect from ${shown(url)}: its target is no address`)
    const next = new URL(location, url)
    if (!isWeb(next) || (url.protocol === "https:" && next.protocol === "http:"))
      return Failure.raise(
        "BadRedirect",
        `refused the redirect from ${shown(url)} to ${isWeb(next) ? shown(next) : `a ${next.protocol} address`}: expected ${url.protocol === "https:" ? "https" : "http or https"}`,
      )
    url = next
  }
  return Failure.raise("BadRedirect", `more than ${MAX_REDIRECTS} redirects from ${shown(first)}`)
}
