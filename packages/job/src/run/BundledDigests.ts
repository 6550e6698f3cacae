/** Checksums of the bundled models. */
import { Failure, Files, Path } from "@adafm/core"

/** SHA-256 by model and file. */
export const DIGESTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  cifar32: {
    "model.json": "d5a90d9cbc862162ae8da9c1dfeb39e8c0ab71cafe96ee928531e63e88df9b99",
    "generator.safetensors": "5653f3edbd65b55f9232a79a92fff08524ea3c3e91f01c7d2417e706739935df",
    "discriminator.safetensors": "7a9aea6c21e4f7d44b272161a7aa91d61d92e6a3a401b0d3a8558372f6fb099c",
  },
  "cifar32-small": {
    "model.json": "bfaa72cd749672cda749933056abe96ea0ae05df03987bc963849a60054a0751",
    "generator.safetensors": "78e603a083506e95b4a0469f0e1ea3aef44c2e196b687dae95f18ef9304c0ae4",
    "discriminator.safetensors": "904b9af0ea7c1789e260013aaee5c862690b2d67fc45e3b8171d982ef298809c",
  },
  sunflowers64: {
    "model.json": "65420848c77eba50c7c6a96d6ddf48813be0f1e971c8e1fea5b82526e2206f42",
    "generator.safetensors": "cf46c7fb7f2b5b1cea7473c02a3884be504f7b38e5cfefa0880fcc99a578c107",
    "discriminator.safetensors": "f1adf3fd0dc45447b85895154d2ded6ac8b128b1015885bc8e3aa6eb51d24a7f",
  },
  fruits64: {
    "model.json": "65420848c77eba50c7c6a96d6ddf48813be0f1e971c8e1fea5b82526e2206f42",
    "generator.safetensors": "731351a63291ef546dd458f01fde31c20234377facdb93edcd4681d43185f12e",
    "discriminator.safetensors": "4a097c138319690bb3599af5f94ce7b886aaff0ca637c8d08e30185afdb0cdd1",
  },
}

/** Compares the files of a bundled model with their checksums. Raises `BadChecksum`. @param folder its name is the model's */
export const verify = async (folder: string): Promise<void> => {
  for (const [name, expected] of Object.entries(DIGESTS[Path.basename(folder)] ?? {})) {
    const file = Path.join(folder, name)
    const found = await Failure.orThrow(Files.sha256(file))
    if (found !== expected)
      Failure.raise(
        "BadChecksum",
        `this file of a bundled model is damaged: its SHA-256 is ${found.slice(0, 12)}…, expected ${expected.slice(0, 12)}…; install the package @adafm/job again, or in a clone: git checkout -- packages/job/assets`,
        { file },
      )
  }
}
