/** Files of a run to keep. */
import * as Store from "./Store.ts"

const FILES = [
  ["onnx", "Generator (ONNX)", "for any program that reads ONNX"],
  ["safetensors", "Generator (safetensors)", "PyTorch's names and layouts"],
  ["run", "Whole run (zip)", "`adafm transfer`, `sample` and `evaluate` go on with it"],
  ["grid", "64 pictures (PNG)", "of the averaged generator"],
  ["walk", "A walk (GIF)", "from sample to sample and back"],
] as const

export const TakeHome = ({ run }: { readonly run: string }) => (
  <section aria-labelledby="take-home">
    <h3 id="take-home">Take home</h3>
    <ul class="take">
      {FILES.map(([what, name, about]) => (
        <li key={what}>
          <button
            type="button"
            disabled={Store.busy.value !== undefined}
            onClick={() => void Store.takeHome(run, what)}
          >
            {name}
          </button>
          <span class="quiet">{about}</span>
        </li>
      ))}
    </ul>
  </section>
)
