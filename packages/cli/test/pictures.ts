/** Coloured pictures in class folders, drawn from a formula. */
import { join } from "node:path"
import { Failure, NdArray } from "@adafm/core"
import { Image } from "@adafm/data"

/** `folder/a/0.png`, …, `folder/b/0.png`, … of `size` pixels. */
export const write = async (folder: string, perClass: number, size: number): Promise<void> => {
  for (const [c, name] of ["a", "b"].entries())
    for (let n = 0; n < perClass; n++) {
      const data = Uint8Array.from({ length: size * size * 3 }, (_, i) => (37 * i * (c + 1) + 11 * n * n) % 256)
      const file = join(folder, name, `${n}.png`)
      await Failure.orThrow(Image.writePng(file, NdArray.make("uint8", [size, size, 3], data)))
    }
}
