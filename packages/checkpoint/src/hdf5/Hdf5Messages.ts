/** What the thread that reads an HDF5 file and the thread that asks for it say to each other. */

/** A link of a group, in the file's order. */
export interface Listed {
  /** Names joined with `/`. */
  readonly path: string
  readonly kind: "group" | "dataset" | "other"
  /** Of datasets. */
  readonly shape?: readonly number[]
  /** Of datasets: `f` float, `i` integer, or another type's name. */
  readonly type?: string
  readonly bytes?: number
  readonly signed?: boolean
  readonly littleEndian?: boolean
  /** Texts and lists of texts. */
  readonly attributes: Readonly<Record<string, string | readonly string[]>>
}

/** What a program sees of the file. */
export interface Hdf5File {
  readonly entries: readonly Listed[]
  /** The bytes of a dataset, row-major, in this machine's order. */
  readonly read: (path: string) => Uint8Array
}

export type Request =
  | { readonly kind: "list"; readonly size: number }
  | { readonly kind: "read"; readonly path: string }

export type Reply =
  | { readonly kind: "need"; readonly begin: number; readonly length: number }
  | { readonly kind: "listed"; readonly entries: readonly Listed[] }
  | { readonly kind: "values"; readonly bytes: Uint8Array }
  | { readonly kind: "failed"; readonly message: string; readonly isFatal: boolean }
  | { readonly kind: "ready" }

export interface Shared {
  /** Counts the messages that wait for the asking thread, and those that wait for the reading thread. */
  readonly signals: SharedArrayBuffer
}
