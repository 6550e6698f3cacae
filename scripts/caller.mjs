/** Preloaded by `pnpm adafm`: relative paths are those of the folder in which the command was typed, not of the repository. */
const { env } = process
const { INIT_CWD, npm_lifecycle_event } = env
// other processes inherit the variables; only the script itself was called from that folder
if (npm_lifecycle_event === "adafm" && INIT_CWD) {
  process.chdir(INIT_CWD)
  delete env.INIT_CWD
}
