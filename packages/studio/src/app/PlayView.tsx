/** Pictures of a finished generator: samples, the way between them, and the way from the source. */
import { useComputed, useSignal } from "@preact/signals"
import { useEffect, useRef } from "preact/hooks"
import type { Look, Neighbour, Opened, Picture, Place } from "../protocol/Protocol.ts"
import { Canvas } from "./Canvas.tsx"
import * as Store from "./Store.ts"

const SAMPLES = 24

/** The place a part `t` of the way from one sample to another. */
const between = (from: number, to: number, t: number): Place => [
  { sample: from, weight: 1 - t },
  { sample: to, weight: t },
]

export const PlayView = () => {
  const path = Store.toPlay.value ?? Store.runs.value.find(({ step }) => step > 0)?.job.run
  const opened = useSignal<Opened | undefined>(undefined)
  const samples = useSignal<readonly Picture[]>([])
  const picture = useSignal<Picture | undefined>(undefined)
  const neighbours = useSignal<readonly Neighbour[]>([])
  const [from, to] = [useSignal(0), useSignal(1)]
  const part = useSignal(0)
  const fade = useSignal(1)
  const truncation = useSignal(1)
  const style = useSignal<number | undefined>(undefined)
  const page = useSignal(0)
  const isWalking = useSignal(false)
  /** The picture that is being computed, and whether another was asked for meanwhile. */
  const drawing = useRef({ isBusy: false, again: false })
  const place = useComputed(() => between(from.value, to.value, part.value))

  const wanted = (places: readonly Place[]): Look => ({
    places,
    truncation: truncation.value,
    fade: fade.value,
    ...(style.value !== undefined && { style: { sample: style.value, from: 0 } }),
  })
  const numbers = (): readonly number[] => Array.from({ length: SAMPLES }, (_, i) => page.value * SAMPLES + i)

  const draw = async (): Promise<void> => {
    if (drawing.current.isBusy) {
      drawing.current.again = true
      return
    }
    drawing.current.isBusy = true
    try {
      do {
        drawing.current.again = false
        const client = await Store.playing()
        picture.value = (await client.call("look", wanted([place.value])))[0]
      } while (drawing.current.again)
    } finally {
      drawing.current.isBusy = false
    }
  }
  const drawSamples = async (): Promise<void> => {
    const client = await Store.playing()
    samples.value = await client.call("look", wanted(numbers().map((sample) => [{ sample, weight: 1 }])))
  }
  const redraw = (): void => {
    neighbours.value = []
    void draw()
  }

  useEffect(() => {
    if (path === undefined) return
    void Store.doing("opening the generator", async () => {
      opened.value = await (await Store.playing()).call("open", path)
      await drawSamples()
      await draw()
    })
  }, [path])

  useEffect(() => {
    if (!isWalking.value) return
    const timer = setInterval(() => {
      const next = part.value + 0.04
      if (next < 1) part.value = next
      else {
        from.value = to.value
        to.value = to.value + 1
        part.value = 0
      }
      void draw()
    }, 60)
    return () => clearInterval(timer)
  }, [isWalking.value])

  if (path === undefined)
    return (
      <section>
        <h2>Play</h2>
        <p>There is no generator here yet. Train one first; it takes a few minutes.</p>
        <p class="buttons">
          <button
            type="button"
            class="main"
            onClick={() => {
              Store.view.value = "train"
            }}
          >
            Train one
          </button>
        </p>
      </section>
    )
  const about = opened.value
  return (
    <div class="columns play">
      <section aria-label="Picture">
        {picture.value === undefined ? (
          <div class="large empty">Opening the generator…</div>
        ) : (
          <Canvas
            class="large"
            picture={picture.value}
            alt={`A picture between sample ${from.value} and sample ${to.value}`}
          />
        )}
        <div class="form">
          <label>
            From sample {from.value} to sample {to.value}
            <input
              type="range"
              min={0}
              max={1}
              step={0.01}
              value={part.value}
              onInput={({ currentTarget: { value } }) => {
                part.value = Number(value)
                redraw()
              }}
            />
          </label>
          {about === undefined || about.fades === "none" ? null : (
            <label>
              {about.fades === "all"
                ? "From the source to your generator"
                : "The adaptation (γ and β), from none to all of it"}
              <input
                type="range"
                min={0}
                max={1}
                step={0.02}
                value={fade.value}
                onInput={({ currentTarget: { value } }) => {
                  fade.value = Number(value)
                  redraw()
                }}
                onChange={() => void drawSamples()}
              />
            </label>
          )}
          <label>
            Truncation: {truncation.value.toFixed(2)} (smaller is safer and more alike)
            <input
              type="range"
              min={0.2}
              max={1.2}
              step={0.02}
              value={truncation.value}
              onInput={({ currentTarget: { value } }) => {
                truncation.value = Number(value)
                redraw()
              }}
              onChange={() => void drawSamples()}
            />
          </label>
        </div>
        <p class="buttons">
          <button
            type="button"
            aria-pressed={isWalking.value}
            onClick={() => {
              isWalking.value = !isWalking.value
            }}
          >
            {isWalking.value ? "Stop walking" : "Walk"}
          </button>
          {about?.hasPhotographs ? (
            <button
              type="button"
              onClick={() =>
                void Store.doing("comparing with the photographs", async () => {
                  neighbours.value = await (await Store.playing()).call("nearest", place.value, truncation.value)
                })
              }
            >
              Nearest photographs
            </button>
          ) : null}
          {about?.mixes ? (
            <button
              type="button"
              aria-pressed={style.value !== undefined}
              onClick={() => {
                style.value = style.value === undefined ? to.value : undefined
                redraw()
              }}
            >
              {style.value === undefined ? `Style of sample ${to.value}` : "Own style"}
            </button>
          ) : null}
        </p>
        {neighbours.value.length === 0 ? null : (
          <ul class="crops large-crops" aria-label="Nearest photographs">
            {neighbours.value.map(({ name, distance, crop }) => (
              <li key={name}>
                <Canvas picture={crop} alt={name} />
                <span class="quiet">
                  {name}, {(100 * distance).toFixed(0)} % away
                </span>
              </li>
            ))}
          </ul>
        )}
      </section>
      <section aria-label="Samples">
        <h2>{about?.name ?? "Samples"}</h2>
        <p class="quiet">Choose a picture to walk to it from the one that was chosen before.</p>
        <ul class="crops samples">
          {samples.value.map((one, i) => {
            const sample = numbers()[i]!
            return (
              <li key={sample}>
                <button
                  type="button"
                  aria-label={`Sample ${sample}`}
                  aria-pressed={sample === to.value}
                  onClick={() => {
                    from.value = to.value
                    to.value = sample
                    part.value = 1
                    redraw()
                  }}
                >
                  <Canvas picture={one} alt="" />
                </button>
              </li>
            )
          })}
        </ul>
        <p class="buttons">
          <button
            type="button"
            onClick={() => {
              page.value += 1
              void drawSamples()
            }}
          >
            Other samples
          </button>
        </p>
      </section>
    </div>
  )
}
