/** The runs in this browser. */
import { DropZone } from "./DropZone.tsx"
import { LocalRuns } from "./LocalRuns.tsx"
import * as Store from "./Store.ts"
import { TakeHome } from "./TakeHome.tsx"

export const RunsView = () => (
  <>
    <Own />
    <LocalRuns />
  </>
)

const Own = () => (
  <section aria-labelledby="runs">
    <h2 id="runs">Runs in this browser</h2>
    {Store.runs.value.length === 0 ? (
      <p class="quiet">No runs yet. Train one, or bring one from the command line.</p>
    ) : null}
    <ul class="runs">
      {Store.runs.value.map((run) => (
        <li key={run.job.run}>
          <h3>{run.job.name}</h3>
          <p class="quiet">
            {run.step} of {run.steps} steps · {run.job.images} photographs
          </p>
          <p class="buttons">
            <button
              type="button"
              disabled={Store.isTraining.value}
              onClick={() => {
                void Store.doing("opening the run", () => Store.show(run))
                Store.view.value = "train"
              }}
            >
              Open
            </button>
            <button
              type="button"
              disabled={run.step === 0}
              onClick={() => {
                Store.toPlay.value = run.job.run
                Store.view.value = "play"
              }}
            >
              Play
            </button>
            <button
              type="button"
              disabled={Store.isTraining.value}
              onClick={() => {
                if (confirm(`Remove ${run.job.name}? Its generator is deleted from this browser.`))
                  void Store.removeRun(run)
              }}
            >
              Remove
            </button>
          </p>
          {run.step === 0 ? null : (
            <details>
              <summary>Take home</summary>
              <TakeHome run={run.job.run} />
            </details>
          )}
        </li>
      ))}
    </ul>
    <DropZone label="Choose a run" folders accept=".zip" onFiles={(files) => void Store.dropRun(files)}>
      <p>A run folder of `adafm transfer`, or its zip, opens here too.</p>
    </DropZone>
  </section>
)
