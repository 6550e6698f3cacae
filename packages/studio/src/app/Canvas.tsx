/** A picture of the worker, drawn without smoothing. */
import { useEffect, useRef } from "preact/hooks"
import type { Picture } from "../protocol/Protocol.ts"

export interface Props {
  readonly picture: Picture
  /** Text for readers who cannot see the picture. */
  readonly alt: string
  readonly class?: string
}

export const Canvas = ({ picture, alt, class: name }: Props) => {
  const canvas = useRef<HTMLCanvasElement>(null)
  const { width, height, data } = picture
  useEffect(() => {
    canvas.current?.getContext("2d")?.putImageData(new ImageData(data, width, height), 0, 0)
  }, [data, width, height])
  return <canvas ref={canvas} width={width} height={height} role="img" aria-label={alt} class={name ?? ""} />
}
