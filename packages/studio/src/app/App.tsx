/** The page: a header, three views and what went wrong. */
import { useEffect } from "preact/hooks"
import { PlayView } from "./PlayView.tsx"
import { RunsView } from "./RunsView.tsx"
import * as Store from "./Store.ts"
import { TrainView } from "./TrainView.tsx"

const VIEWS: readonly (readonly [Store.View, string])[] = [
  ["train", "Train"],
  ["play", "Play"],
  ["runs", "Runs"],
]

const Header = () => (
  <header class="top">
    <h1>
      adafm <span>studio</span>
    </h1>
    <nav aria-label="Views">
      {VIEWS.map(([name, label]) => (
        <button
          key={name}
          type="button"
          aria-current={Store.view.value === name ? "page" : undefined}
          onClick={() => {
            Store.view.value = name
          }}
        >
          {label}
        </button>
      ))}
    </nav>
  </header>
)

const Trouble = () => {
  const found = Store.failure.value
  if (found === undefined) return null
  const place = [found.file, found.path].filter((part) => part !== undefined && part !== "").join(" · ")
  return (
    <div class="trouble" role="alert">
      <p>
        <strong>That did not work.</strong> {found.message}
      </p>
      {place === "" ? null : <p class="quiet">{place}</p>}
      <button
        type="button"
        onClick={() => {
          Store.failure.value = undefined
        }}
      >
        Close
      </button>
    </div>
  )
}

const Footer = () => {
  const engine = Store.engine.value
  return (
    <footer>
      <p>
        {engine === undefined ? (
          "Starting the engine…"
        ) : (
          <>
            <strong>{engine.name}</strong>: {engine.reason}.
          </>
        )}
      </p>
      <p>Nothing leaves this computer: photographs, training and generators stay in this browser.</p>
    </footer>
  )
}

export const App = () => {
  useEffect(() => void Store.start(), [])
  const view = Store.view.value
  return (
    <>
      <Header />
      <div class="status" role="status" aria-live="polite">
        {Store.busy.value === undefined ? "" : `${Store.busy.value}…`}
      </div>
      <Trouble />
      <main>{view === "train" ? <TrainView /> : view === "play" ? <PlayView /> : <RunsView />}</main>
      <Footer />
    </>
  )
}
