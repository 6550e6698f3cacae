/** HDF5 in a browser: its reader needs a thread that another one waits for, which a page must not do. */
import { Failure } from "@adafm/core"
import type * as ByteSource from "../ByteSource.ts"
import type * as Messages from "./Hdf5Messages.ts"

export type Hdf5File = Messages.Hdf5File

export const open = (_: ByteSource.Source): Hdf5File =>
  Failure.raise("NotACheckpoint", "a browser cannot read HDF5 files: import the file with the command line", {
    offset: 0,
  })
