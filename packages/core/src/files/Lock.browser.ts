/// <reference lib="webworker" />
/** A lock lets one tab at a time work in a folder. The browser releases it when the tab ends, however it ends. */

/** A browser does not tell which tab holds a lock. */
export const owner = async (_folder: string): Promise<string | undefined> => undefined

/** Whether a tab works in the folder. */
export const isHeld = async (folder: string, name = "lock"): Promise<boolean> =>
  ((await navigator.locks.query()).held ?? []).some((lock) => lock.name === `adafm ${folder} ${name}`)

const POLL = 1000 // ms

/**
 * Waits until the folder is free and runs `body`.
 * @param enough called every second while another tab works in the folder; if it returns a value, `within` returns that value
 * without running `body`
 * @param name of the lock, if there are several in the folder
 */
export const within = async <A>(
  folder: string,
  body: () => Promise<A>,
  enough: () => Promise<A | undefined>,
  name = "lock",
): Promise<A> => {
  for (;;) {
    const done = await navigator.locks.request(`adafm ${folder} ${name}`, { ifAvailable: true }, async (lock) =>
      lock === null ? undefined : { value: await body() },
    )
    if (done !== undefined) return done.value
    const found = await enough()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, POLL))
  }
}
