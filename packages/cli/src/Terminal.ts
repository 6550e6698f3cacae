/**
 * The two streams: stdout carries the answer (with `--json` exactly one document), stderr everything else that is meant for
 * people.
 */
import { styleText } from "node:util"
import type { Failure } from "@adafm/core"
import { SingleBar } from "cli-progress"
import * as Printable from "./Printable.ts"

export interface Streams {
  readonly out: (text: string) => Promise<void>
  readonly err: (text: string) => void
  /** The words after `adafm`. */
  readonly args?: readonly string[]
}

export interface Progress {
  /** @param total undefined if it is not known */
  readonly update: (done: number, total: number | undefined, note?: string) => void
  readonly stop: () => void
}

export interface Terminal {
  /** The command as it was typed. */
  readonly line: string
  readonly note: (line: string) => void
  readonly progress: (label: string) => Progress
  /**
   * A function that is true after an interrupt. It is asked from the first step on, and from then on an interrupt asks the work to
   * stop, and a second one ends the process. Before that there is nothing to save, and the first one ends it.
   */
  readonly heedInterrupts: () => () => boolean
}

/** How the user called the command: pnpm sets the name of its script. */
export const command = process.env.npm_lifecycle_event === "adafm" ? "pnpm -s adafm" : "npx adafm"

const quoted = (word: string): string => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)

/** Whether a line of the terminal can be redrawn. */
const isLive = process.stderr.isTTY === true && process.env.TERM !== "dumb"

/** Seconds between two lines of progress if stderr is not a terminal. */
const QUIET = 10

const colours = process.stderr.isTTY === true && !process.env.NO_COLOR
const styled = (style: "red" | "bold", text: string): string => (colours ? styleText(style, text) : text)

/** Seconds as people say them. */
export const duration = (s: number): string =>
  s < 90 ? `${s.toFixed(0)} s` : s < 5400 ? `${(s / 60).toFixed(0)} min` : `${(s / 3600).toFixed(1)} h`

/** Milliseconds. The steps of one call are reported closer together than this, which says nothing about their pace. */
const TOGETHER = 20

/** A bar that redraws itself. */
const bar = (label: string, onStart: (clear: () => void) => void, onStop: () => void): Progress => {
  const drawn = new SingleBar({
    format: `${label} {bar} {value}/{total} {note} {eta_formatted}`,
    stream: process.stderr,
    barsize: 24,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    etaBuffer: 50,
    hideCursor: true,
    clearOnComplete: false,
  })
  let started = false
  return {
    update: (done, total = done, note = "") => {
      if (!started) {
        drawn.start(total, done, { note })
        onStart(() => process.stderr.write("\r\x1b[K"))
        started = true
      } else {
        drawn.setTotal(total)
        drawn.update(done, { note })
      }
    },
    stop: () => {
      if (started) drawn.stop()
      onStop()
    },
  }
}

/** A line from time to time, and one at the end. */
const lines = (label: string, note: (line: string) => void): Progress => {
  const began = performance.now()
  let [said, last] = [began, ""]
  /** The pace is measured from the first update, because preparation comes before it. */
  let first: { readonly done: number; readonly at: number } | undefined
  return {
    update: (done, total, extra = "") => {
      const now = performance.now()
      first ??= { done, at: now }
      const pace = (now - first.at) / 1000 / Math.max(1, done - first.done)
      const isKnown = total !== undefined && now - first.at > TOGETHER && done < total
      const left = isKnown ? `, ${duration(pace * (total - done))} left` : ""
      last = `${label} ${done}${total === undefined ? "" : `/${total}`}${left}${extra === "" ? "" : ` · ${extra}`}`
      if (now - said >= QUIET * 1000) {
        said = now
        note(last)
        last = ""
      }
    },
    stop: () => {
      if (last !== "" && performance.now() - began >= 1000) note(last)
    },
  }
}

/** Ctrl-C, the end of a job, and the end of the terminal or the connection in which the command was called. */
const STOPS = ["SIGINT", "SIGTERM", "SIGHUP"] as const

export const open = ({ err, args = [] }: Streams): Terminal => {
  let clear: (() => void) | undefined
  /** The time of the first interrupt; 0 before it, undefined while interrupts end the process at once. */
  let asked: number | undefined
  const note = (line: string): void => {
    clear?.()
    err(`${Printable.text(line)}\n`)
  }
  const onInterrupt = (): void => {
    const now = performance.now()
    // one Ctrl-C may arrive twice, from the terminal and from a wrapping process
    if (asked !== undefined && asked > 0 && now - asked < 500) return
    if (asked !== undefined && asked > 0) process.exit(130)
    asked = now
    note("stopping after this step, with a checkpoint; press Ctrl-C again to stop at once, without one")
  }
  return {
    line: [command, ...args.map(quoted)].join(" "),
    note,
    progress: (label) =>
      isLive
        ? bar(
            label,
            (clearLine) => {
              clear = clearLine
            },
            () => {
              clear = undefined
            },
          )
        : lines(label, note),
    heedInterrupts: () => () => {
      if (asked === undefined) for (const signal of STOPS) process.on(signal, onInterrupt)
      asked ??= 0
      return asked > 0
    },
  }
}

/** A failure as a block of text. @param help the command whose output explains the arguments */
export const render = ({ _tag, message, file, path, offset }: Failure.Failure, help?: string): string =>
  [
    `${styled("red", "error:")} ${Printable.line(message)}`,
    ...(file === undefined ? [] : [`  file: ${Printable.line(file)}`]),
    ...(path === undefined ? [] : [`  at: ${Printable.line(path)}`]),
    ...(offset === undefined ? [] : [`  byte: ${offset}`]),
    // for bug reports and scripts, which read --json
    ...(process.env.ADAFM_DEBUG ? [`  kind: ${_tag}`] : []),
    ...(help === undefined ? [] : [`  help: ${help}`]),
  ].join("\n")

/** A table whose columns are as wide as their widest cell; the last one is not padded. */
export const table = (rows: readonly (readonly (string | number)[])[]): string => {
  const cells = rows.map((row) => row.map((cell) => Printable.line(String(cell))))
  const widths = (cells[0] ?? []).map((_, k) => Math.max(...cells.map((row) => row[k]?.length ?? 0)))
  return cells
    .map((row) =>
      row
        .map((cell, k) => (k === row.length - 1 ? cell : cell.padEnd(widths[k]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n")
}
