/** A training that runs, waits or is done: its pictures, its curves and what can be done with it. */
import { Canvas } from "./Canvas.tsx"
import { Curve } from "./Curve.tsx"
import * as Store from "./Store.ts"
import { TakeHome } from "./TakeHome.tsx"

const duration = (seconds: number): string => {
  if (!Number.isFinite(seconds)) return ""
  if (seconds < 90) return `${Math.ceil(seconds)} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}

const STATES: Readonly<Record<Store.Training["state"], string>> = {
  running: "training",
  stopping: "finishing the current step",
  paused: "paused; its state is kept in this browser",
  done: "done",
  failed: "stopped by an error; it goes on from the last checkpoint",
}

/** The column of the scores with KID, whose name says which network computed it. */
const kidOf = (scores: Store.Training["scores"]): string =>
  // in runs of older versions the name is the label
  Object.keys(scores[0] ?? {}).find((name) => name === "kid" || name.startsWith("KID")) ?? "kid"

const Progress = ({ training }: { readonly training: Store.Training }) => {
  const { step, steps, state, phase, secondsPerStep } = training
  const isRunning = state === "running"
  return (
    <>
      <p class="progress-text">
        <strong>
          {step} of {steps} steps
        </strong>
        <span>{phase !== "" && isRunning ? `${phase}…` : STATES[state]}</span>
      </p>
      <progress max={Math.max(1, steps)} value={step} aria-label="Steps done" />
      <dl class="numbers">
        <div>
          <dt>a step</dt>
          <dd>{secondsPerStep > 0 ? `${Math.round(1000 * secondsPerStep)} ms` : "–"}</dd>
        </div>
        <div>
          <dt>left</dt>
          <dd>{secondsPerStep > 0 && step < steps ? duration((steps - step) * secondsPerStep) : "–"}</dd>
        </div>
        <div>
          <dt>engine</dt>
          <dd title={Store.engine.value?.reason}>{Store.engine.value?.name ?? "–"}</dd>
        </div>
      </dl>
    </>
  )
}

const Buttons = ({ training: { state, step, steps, job } }: { readonly training: Store.Training }) => (
  <p class="buttons">
    {state === "running" || state === "stopping" ? (
      <button type="button" class="main" disabled={state === "stopping"} onClick={Store.pause}>
        Pause
      </button>
    ) : null}
    {state === "paused" || state === "failed" ? (
      <button type="button" class="main" onClick={Store.goOn} disabled={step >= steps && steps > 0}>
        Go on
      </button>
    ) : null}
    {Store.isTraining.value ? null : (
      <>
        <button
          type="button"
          disabled={step === 0}
          onClick={() => {
            Store.toPlay.value = job.run
            Store.view.value = "play"
          }}
        >
          Play with it
        </button>
        <button type="button" onClick={Store.forget}>
          New training
        </button>
      </>
    )}
  </p>
)

const Grid = ({ training: { grids, phase } }: { readonly training: Store.Training }) => {
  const shown = Store.shown.value
  if (shown === undefined)
    return (
      <div class="grid empty">
        {phase === "" ? "No pictures yet." : `The first pictures come in a moment: ${phase}…`}
      </div>
    )
  const at = grids.indexOf(shown.step)
  return (
    <figure class="grid">
      <Canvas
        picture={shown.picture}
        alt={`64 pictures of the generator after ${shown.step} steps, always of the same latents`}
      />
      <figcaption>
        <label>
          <span>
            after <strong>{shown.step}</strong> steps
          </span>
          <input
            type="range"
            min={0}
            max={Math.max(0, grids.length - 1)}
            value={at}
            disabled={grids.length < 2}
            aria-label="Time"
            aria-valuetext={`after ${shown.step} steps`}
            onInput={({ currentTarget: { value } }) => void Store.lookBack(grids[Number(value)]!)}
          />
        </label>
      </figcaption>
    </figure>
  )
}

export const TrainingView = ({ training }: { readonly training: Store.Training }) => (
  <div class="columns training">
    <Grid training={training} />
    <div>
      <h2>{training.job.name}</h2>
      <Progress training={training} />
      <Buttons training={training} />
      <Curve
        title="Losses"
        label="loss"
        lines={training.stats}
        columns={[
          ["g_loss", "generator"],
          ["d_loss", "discriminator"],
        ]}
      />
      <Curve
        title="Distance to the photographs kept apart (lower is better)"
        label="KID"
        lines={training.scores}
        columns={[[kidOf(training.scores), "KID, small bundled network"]]}
      />
      {training.notes.length === 0 ? null : (
        <details>
          <summary>Notes</summary>
          <ul>
            {training.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </details>
      )}
      {Store.isTraining.value || training.step === 0 ? null : <TakeHome run={training.job.run} />}
    </div>
  </div>
)
