/** The settings that were chosen, each with its reason, and the ones that a person may change. */
import * as Store from "./Store.ts"

const RECIPES: readonly (readonly [name: string, about: string])[] = [
  ["adafm", "AdaFM: freeze what is near the image, adapt it with AdaFM"],
  ["finetune", "Fine-tune everything"],
  ["adafm-25", "AdaFM for about 25 photographs"],
  ["freezed", "FreezeD: freeze half of the discriminator"],
]

/** What the settings are called on the page. */
const NAMES: Readonly<Record<string, string>> = {
  recipe: "Method",
  steps: "Steps",
  augment: "Augmentation",
  penalty: "Penalty (R1)",
  lr: "Learning rate",
  batch: "Batch",
}

const numberOf = (text: string): number | undefined => (text.trim() === "" ? undefined : Number(text))

const Form = () => {
  const { settings, plan } = Store
  const chosen = (setting: string): string =>
    plan.value?.choices.find((choice) => choice.setting === setting)?.value ?? ""
  return (
    <div class="form">
      <label>
        Method
        <select
          value={settings.value.recipe ?? ""}
          onChange={({ currentTarget: { value } }) =>
            void Store.change({ recipe: value === "" ? undefined : value } as never)
          }
        >
          <option value="">chosen for you{chosen("recipe") === "" ? "" : ` (${chosen("recipe")})`}</option>
          {RECIPES.map(([name, about]) => (
            <option key={name} value={name}>
              {about}
            </option>
          ))}
        </select>
      </label>
      <label>
        Steps
        <input
          type="number"
          min={1}
          max={100000}
          placeholder={chosen("steps")}
          value={settings.value.steps ?? ""}
          onChange={({ currentTarget: { value } }) => void Store.change({ steps: numberOf(value) } as never)}
        />
      </label>
      <label>
        Learning rate
        <input
          type="number"
          min={0}
          step="any"
          placeholder={chosen("lr")}
          value={settings.value.learningRate ?? ""}
          onChange={({ currentTarget: { value } }) => void Store.change({ learningRate: numberOf(value) } as never)}
        />
      </label>
      <label>
        Batch
        <input
          type="number"
          min={2}
          max={64}
          placeholder={chosen("batch")}
          value={settings.value.batch ?? ""}
          onChange={({ currentTarget: { value } }) => void Store.change({ batch: numberOf(value) } as never)}
        />
      </label>
      <label>
        A grid every … steps
        <input
          type="number"
          min={1}
          placeholder={String(plan.value?.every ?? "")}
          value={settings.value.every ?? ""}
          onChange={({ currentTarget: { value } }) => void Store.change({ every: numberOf(value) } as never)}
        />
      </label>
    </div>
  )
}

export const Settings = () => {
  const plan = Store.plan.value
  return (
    <section aria-labelledby="settings">
      <h2 id="settings">3. Settings</h2>
      {plan === undefined ? (
        <p class="quiet">They are chosen from the number of photographs, each with its reason.</p>
      ) : (
        <>
          <dl class="choices">
            {plan.choices.map(({ setting, value, reason }) => (
              <div key={setting}>
                <dt>
                  {NAMES[setting] ?? setting}: <strong>{value}</strong>
                </dt>
                <dd>{reason}</dd>
              </div>
            ))}
          </dl>
          <p class="quiet">
            {plan.heldOut > 0
              ? `${plan.heldOut} photographs are kept apart: scores compare with them.`
              : "With so few photographs all of them are trained on, so there are no scores."}
          </p>
          <details>
            <summary>Change them</summary>
            <Form />
          </details>
        </>
      )}
    </section>
  )
}
