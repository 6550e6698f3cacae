/** An image as its set stores it: the bytes and their form. Both can be sent to another thread and decoded there. */
import { Failure, NdArray, Sha256 } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Channels from "./Channels.ts"
import * as Image from "./Image.ts"

export type Form = (
  | /** An encoded file from anywhere. */ { readonly kind: "file" }
  /** SVG that this program wrote. */
  | { readonly kind: "drawing" }
  /** One image of a tensor, `[C, H, W]`, C 1, 3 or 4: float32 in [-1, 1] or uint8. */
  | { readonly kind: "tensor"; readonly dtype: "float32" | "uint8"; readonly shape: readonly number[] }
  /** 8-bit pixels `[H, W, 3]`. */
  | { readonly kind: "rgb"; readonly shape: readonly number[] }
) & {
  /** Decoded without its colours: R, G and B are Pillow's `L`. */
  readonly grey?: true
}

export const FILE: Form = { kind: "file" }
export const DRAWING: Form = { kind: "drawing" }

const pixels = (form: Form, bytes: Uint8Array, alpha: boolean): TE.TaskEither<Failure.Failure, Image.Rgb> => {
  if (form.kind === "file") return Image.decode(bytes, alpha)
  if (form.kind === "drawing") return Image.decodeDrawing(bytes, alpha)
  return TE.fromEither(
    E.tryCatch(
      () => {
        if (form.kind === "rgb") return NdArray.make("uint8", form.shape, bytes)
        return Image.fromNchw(NdArray.fromBytes(form.dtype, [1, ...form.shape], bytes), alpha)[0]!
      },
      (thrown) => Failure.make("BadImage", thrown instanceof Error ? thrown.message : String(thrown)),
    ),
  )
}

/** The picture. `→ [H, W, 3]`, with `alpha` `[H, W, 4]` */
export const decode = (form: Form, bytes: Uint8Array, alpha = false): TE.TaskEither<Failure.Failure, Image.Rgb> =>
  pipe(
    pixels(form, bytes, alpha),
    TE.map((found) => (alpha && found.shape[2] === 3 ? Channels.opaque(found) : found)),
    TE.map((found) => (form.grey === true ? Channels.spread(Channels.luma(found)) : found)),
  )

/** SHA-256, 64 hex digits; of pictures without their colours another one. */
export const digest = (bytes: Uint8Array, { grey }: Pick<Form, "grey"> = {}): string => {
  const hash = Sha256.make()
  if (grey === true) hash.update("grey ")
  return hash.update(bytes).hex()
}
