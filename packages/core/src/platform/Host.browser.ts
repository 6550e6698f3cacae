/// <reference lib="webworker" />
/** What the machine tells a program about itself. */

/** Part of the names of temporary files: no two programs that run at the same time have the same. */
export const id = crypto.randomUUID().slice(0, 8)

/** Processors that this program may use. */
export const processors = (): number => navigator.hardwareConcurrency

/** Bytes of memory that a program may take; undefined where the system does not say. */
export const freeMemory = (): number | undefined => undefined

/** Bytes that a page may still write, as far as the browser tells. */
export const freeDisk = async (_folder: string): Promise<number | undefined> => {
  const { quota, usage } = await navigator.storage.estimate()
  return quota === undefined || usage === undefined ? undefined : quota - usage
}

/** Lets waiting events run first. A message is not delayed, as timers of a background tab are. */
export const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(undefined)
  })

/** For error messages and provenance, e.g. `node 22.12.0`. */
export const runtime: Readonly<Record<string, string>> = { browser: navigator.userAgent }
