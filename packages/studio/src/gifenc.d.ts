/** The part of gifenc 1.0.3 that is used; the package has no types of its own. */
declare module "gifenc" {
  /** RGB, 0 to 255. */
  type Palette = number[][]
  interface Encoder {
    writeFrame(
      index: Uint8Array,
      width: number,
      height: number,
      options: { readonly palette: Palette /** Milliseconds. */; readonly delay: number },
    ): void
    finish(): void
    bytes(): Uint8Array<ArrayBuffer>
  }
  export function GIFEncoder(): Encoder
  export function quantize(rgba: Uint8Array, colours: number): Palette
  export function applyPalette(rgba: Uint8Array, palette: Palette): Uint8Array
}
