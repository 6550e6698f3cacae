/** From photographs to a training: choose, see what was chosen, start, watch. */
import { Canvas } from "./Canvas.tsx"
import { DropZone } from "./DropZone.tsx"
import { Settings } from "./Settings.tsx"
import * as Store from "./Store.ts"
import { TrainingView } from "./TrainingView.tsx"

const IMAGES = "image/png,image/jpeg,image/webp,image/gif,image/avif,.zip"

/** Crops that are shown before "and N more". */
const SHOWN = 60

const Photographs = () => {
  const found = Store.photographs.value
  const isBusy = Store.engine.value === undefined || Store.busy.value !== undefined
  return (
    <section aria-labelledby="photographs">
      <h2 id="photographs">1. Your photographs</h2>
      <DropZone
        label="Choose photographs"
        folders
        accept={IMAGES}
        onFiles={(files) => void Store.drop(files)}
        disabled={isBusy}
      >
        {found === undefined || found.kept.length === 0 ? (
          <p>
            Drop about a hundred pictures of <strong>one</strong> subject here: files, a folder or a zip. Fifty are few,
            a thousand are many. The square in the middle of each is used.
          </p>
        ) : (
          <>
            <p>
              <strong>{found.kept.length}</strong> {found.kept.length === 1 ? "photograph" : "photographs"}, as the
              network sees them:
            </p>
            <ul class="crops">
              {found.kept.slice(0, SHOWN).map(({ name, crop }) => (
                <li key={name} title={name}>
                  <Canvas picture={crop} alt={name} />
                </li>
              ))}
              {found.kept.length > SHOWN ? <li class="more">and {found.kept.length - SHOWN} more</li> : null}
            </ul>
          </>
        )}
      </DropZone>
      {found === undefined || found.leftOut.length === 0 ? null : (
        <details class="left-out" open={found.kept.length === 0}>
          <summary>{found.leftOut.length === 1 ? "1 file is" : `${found.leftOut.length} files are`} left out</summary>
          <ul>
            {found.leftOut.map(({ name, reason }) => (
              <li key={name}>
                <strong>{name}</strong>: {reason}
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  )
}

const Source = () => (
  <section aria-labelledby="source">
    <h2 id="source">2. A generator to start from</h2>
    <fieldset>
      <legend class="hidden">Source</legend>
      {Store.sources.value.map(({ path, name, about }) => (
        <label key={path} class="choice">
          <input
            type="radio"
            name="source"
            value={path}
            checked={Store.source.value === path}
            onChange={() => void Store.choose(path)}
          />
          <span>
            <strong>{name}</strong>
            <br />
            <span class="quiet">{about}</span>
          </span>
        </label>
      ))}
    </fieldset>
    <details>
      <summary>Use your own model</summary>
      <DropZone
        label="Choose a model"
        accept=".pt,.pth,.ckpt,.safetensors,.npz,.json,.onnx"
        onFiles={(files) => void Store.dropSource(files)}
        disabled={Store.busy.value !== undefined}
      >
        <p>
          A checkpoint (.pt, .safetensors, .npz) with generator and discriminator, one file for each, or the files of a
          model folder. It is read, never executed.
        </p>
      </DropZone>
    </details>
  </section>
)

const Start = () => {
  const { plan } = Store
  const count = Store.photographs.value?.kept.length ?? 0
  const isReady = count > 0 && plan.value !== undefined && Store.busy.value === undefined
  return (
    <p class="buttons">
      <button type="button" class="main" disabled={!isReady} onClick={Store.begin}>
        Start training
      </button>
      {Store.isServed.value && Store.source.value.startsWith("builtin:") ? (
        <button type="button" disabled={!isReady} onClick={() => void Store.beginNatively()}>
          Train with adafm, without the browser
        </button>
      ) : null}
      {count === 0 ? <span class="quiet">Choose photographs first.</span> : null}
    </p>
  )
}

export const TrainView = () =>
  Store.training.value === undefined ? (
    <div class="columns">
      <Photographs />
      <div>
        <Source />
        <Settings />
        <Start />
      </div>
    </div>
  ) : (
    <TrainingView training={Store.training.value} />
  )
