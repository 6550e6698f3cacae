/** An image as its set stores it: the bytes and their form. Both can be sent to another thread and decoded there. */
import { Failure, NdArray, Sha256 } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Image from "./Image.ts"

export type Form =
  /** An encoded file. */
  | { readonly kind: "file" }
  /** One image of a tensor, `[C, H, W]`, C 1 or 3: float32 in [-1, 1] or uint8. */
  | { readonly kind: "tensor"; readonly dtype: "float32" | "uint8"; readonly shape: readonly number[] }
  /** 8-bit pixels `[H, W, 3]`. */
  | { readonly kind: "rgb"; readonly shape: readonly number[] }

export const FILE: Form = { kind: "file" }

/** The picture. `→ [H, W, 3]` */
export const decode = (form: Form, bytes: Uint8Array): TE.TaskEither<Failure.Failure, Image.Rgb> => {
  if (form.kind === "file") return Image.decode(bytes)
  if (form.kind === "rgb") return TE.right(NdArray.make("uint8", form.shape, bytes))
  return TE.fromEither(
    E.tryCatch(
      () => Image.fromNchw(NdArray.fromBytes(form.dtype, [1, ...form.shape], bytes))[0]!,
      (thrown) => Failure.make("BadImage", thrown instanceof Error ? thrown.message : String(thrown)),
    ),
  )
}

/** SHA-256, 64 hex digits. */
export const digest = (bytes: Uint8Array): string => Sha256.make().update(bytes).hex()
