/** Checksums of the bundled models, whose files are older than the digests that safetensors files hold now. */
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
