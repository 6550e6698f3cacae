/** A page does not fetch models of the Hub: only their names are known here. */
import { Failure } from "@adafm/core"

export const isReference = (path: string): boolean => path.startsWith("hf:")

export const pinned = (asked: string, _recorded: string | undefined): string => asked

export const fetch = async (path: string): Promise<{ readonly folder: string; readonly path: string }> =>
  Failure.raise("NoModel", "models of the Hugging Face Hub are fetched by the command, not by this page", {
    file: path,
  })
