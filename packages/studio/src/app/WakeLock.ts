/** Keeps the screen, and with it the computer, awake while something runs. */

/** @returns a function that lets the screen sleep again */
export const hold = async (): Promise<() => void> => {
  let lock: WakeLockSentinel | undefined
  let isOver = false
  const take = async (): Promise<void> => {
    if (isOver || document.visibilityState !== "visible" || !("wakeLock" in navigator)) return
    // refused on battery saving: the training goes on without it
    lock = await navigator.wakeLock.request("screen").catch(() => undefined)
  }
  // the browser drops the lock whenever the tab is hidden
  document.addEventListener("visibilitychange", take)
  await take()
  return () => {
    isOver = true
    document.removeEventListener("visibilitychange", take)
    void lock?.release()
  }
}
