/** A place for files: drop them, or choose them with a button. */
import type { ComponentChildren } from "preact"
import { useRef, useState } from "preact/hooks"
import * as Dropped from "./Dropped.ts"

export interface Props {
  readonly label: string
  readonly onFiles: (files: readonly File[]) => void
  readonly accept?: string
  /** Offers to choose a folder too. */
  readonly folders?: boolean
  readonly disabled?: boolean
  readonly children?: ComponentChildren
}

export const DropZone = ({ label, onFiles, accept, folders = false, disabled = false, children }: Props) => {
  const [isOver, setOver] = useState(false)
  const files = useRef<HTMLInputElement>(null)
  const folder = useRef<HTMLInputElement>(null)
  const taken = (input: HTMLInputElement): void => {
    const chosen = [...(input.files ?? [])]
    input.value = ""
    if (chosen.length > 0) onFiles(chosen)
  }
  return (
    <section
      aria-label={label}
      class={`drop${isOver ? " over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault()
        setOver(true)
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault()
        setOver(false)
        if (disabled || event.dataTransfer === null) return
        void Dropped.files(event.dataTransfer).then((found) => found.length > 0 && onFiles(found))
      }}
    >
      {children}
      <p class="buttons">
        <button type="button" disabled={disabled} onClick={() => files.current?.click()}>
          {label}
        </button>
        {folders ? (
          <button type="button" disabled={disabled} onClick={() => folder.current?.click()}>
            Choose a folder
          </button>
        ) : null}
      </p>
      <input
        ref={files}
        type="file"
        multiple
        hidden
        aria-label={label}
        accept={accept}
        onChange={(event) => taken(event.currentTarget)}
      />
      {folders ? (
        <input
          ref={(input) => {
            folder.current = input
            input?.setAttribute("webkitdirectory", "")
          }}
          type="file"
          hidden
          aria-label="Choose a folder"
          onChange={(event) => taken(event.currentTarget)}
        />
      ) : null}
    </section>
  )
}
