/** The channels of a model's images, and photographs as such a model sees them. */
import { Failure } from "@adafm/core"
import { Channels, ImageSet } from "@adafm/data"
import type { Gan } from "@adafm/gan"

type Image = Pick<Gan.Gan, "image">

/** Throws `WrongImages` where photographs cannot have the channels of the model's images. @param file the model */
export const of = ({ image: [, , channels] }: Image, file?: string): Channels.Count =>
  Channels.isCount(channels)
    ? channels
    : Failure.raise(
        "WrongImages",
        `this model makes images of ${channels} channels; photographs have 1 (grey), 3 (RGB) or 4 (RGBA)`,
        file === undefined ? {} : { file },
      )

/** Throws `WrongImages` where photographs cannot have the model's size or channels. @param file the model */
export const requirePhotographs = (gan: Image, file: string): void => {
  const [height, width] = gan.image
  of(gan, file)
  if (height !== width)
    Failure.raise(
      "WrongImages",
      `this model makes images of ${width} × ${height} px; only square photographs are trained on`,
      { file },
    )
}

/** Images to compare with a model's: grey for a grey model. RGBA images are compared on white, as photographs are decoded. */
export const seen = (set: ImageSet.ImageSet, channels: number): ImageSet.ImageSet =>
  channels === 1 ? ImageSet.grey(set) : set

/** What becomes of coloured or opaque photographs, as a note for the user. */
export const note = (channels: Channels.Count): string | undefined =>
  channels === 1
    ? "the model makes grey images: the photographs are made grey (0.299 R + 0.587 G + 0.114 B)"
    : channels === 4
      ? "the model makes images with transparency: photographs without it count as opaque"
      : undefined
