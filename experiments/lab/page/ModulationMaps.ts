/** What γ and β learned in the first draw: the change of each filter, as heat maps over (output, input) channels. */
import { Failure, NdArray, Safetensors } from "@adafm/core"
import { Image } from "@adafm/data"
import { Page, type Table } from "@adafm/report"
import * as ExperimentResults from "../judge/ExperimentResults.ts"
import * as CellRunner from "../run/CellRunner.ts"

/** Blue below 0, white at 0, red above; the same in a dark and a light page. */
const colour = (t: number): readonly [number, number, number] => {
  const clipped = Math.max(-1, Math.min(1, t))
  const fade = Math.round(255 * (1 - Math.abs(clipped)))
  return clipped < 0 ? [fade, fade, 255] : [255, fade, fade]
}

/** Differences from the identity, `[out, in, 1, 1]`, as a picture whose rows are output channels. */
const heat = ({ shape, data }: NdArray.NdArray<"float32">, identity: number, reach: number): Image.Rgb => {
  const [rows = 1, cols = 1] = shape
  const out = NdArray.zeros("uint8", [rows, cols, 3])
  for (let i = 0; i < rows * cols; i++) out.data.set(colour((data[i]! - identity) / reach), 3 * i)
  return out
}

const spread = (data: Float32Array, identity: number): number =>
  Math.sqrt(data.reduce((sum, v) => sum + (v - identity) ** 2, 0) / data.length)

/** γ begins at 1, everything else at 0. */
const identityOf = (path: string): number => (/gam+a$|\.eta$|\.s$/.test(path) ? 1 : 0)

const enlarged = (picture: Image.Rgb): number => Math.max(1, Math.floor(256 / picture.shape[1]!))

/** Tables of how far parameters moved, and heat maps of those with one number for each filter plane. */
export const blocks = async (found: ExperimentResults.Results, target: string): Promise<readonly Page.Block[]> => {
  const shown: Page.Block[] = []
  for (const {
    entry: { variant, order },
  } of ExperimentResults.firstOf(found, target)) {
    const file = CellRunner.learnedOf(order.id)
    if (file === undefined) continue
    const { tensors } = await Failure.orThrow(Safetensors.read(file))
    const entries = Object.entries(tensors).map(([path, tensor]) => [path, NdArray.toFloat32(tensor)] as const)
    const rows = entries.map(([path, { shape, data }]): readonly Table.Cell[] => [
      path,
      `[${shape.join(", ")}]`,
      spread(data, identityOf(path)),
      data.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
      data.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
    ])
    const planes = entries.filter(([, { shape }]) => shape.length === 4 && shape[0]! > 1 && shape[1]! > 1)
    const pictures = await Promise.all(
      planes.map(async ([path, array]) => {
        const reach = 3 * spread(array.data, identityOf(path)) || 1
        const picture = heat(array, identityOf(path), reach)
        const png = await Failure.orThrow(Image.png(Image.sheet([picture], { gap: 0, scale: enlarged(picture) })))
        return { png, caption: `${path}: ${identityOf(path)} ± ${reach.toPrecision(2)}` }
      }),
    )
    shown.push(
      Page.details(
        `What the modulation learned: ${target}, ${variant.title}, first draw`,
        [
          Page.table({
            columns: ["parameter", "shape", "distance from the identity (rms)", "minimum", "maximum"].map((title) => ({
              title,
            })),
            rows,
          }),
          ...(pictures.length > 0
            ? [
                Page.text(
                  "One square for each filter plane; rows are output channels, columns are input channels. White is the identity (1 for γ, `style_gama`; 0 for β, " +
                    "`style_beta`), blue is below it, red above; the caption gives the range of the colours.",
                ),
                Page.grid({ pictures, width: 300 }),
              ]
            : []),
        ],
        found.experiment.analysed.includes(variant.id) ? undefined : "html",
      ),
    )
  }
  return shown
}
