/** TensorBoard reads files of a disk, which a page does not write: the log of a page records nothing. */

interface EventLog {
  readonly stats: (done: number, stats: Readonly<Record<string, number>>) => void
  readonly score: (line: object) => void
  readonly grid: (step: number, png: Uint8Array) => void
  readonly flush: () => Promise<void>
}

export const open = async (_folder: string, _begun: number): Promise<EventLog> => ({
  stats: () => undefined,
  score: () => undefined,
  grid: () => undefined,
  flush: async () => undefined,
})
