/**
 * `pnpm release`: checks the packages as npm users get them, and publishes them with provenance. `--dry-run` publishes nothing: it prints
 * what each tarball holds, and what is missing for a release. `--quick` leaves out the slow checks, in a dry run only.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { check, pack, plain, publishable, run } from "./packages.mjs"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const isDry = process.argv.includes("--dry-run")
const isQuick = isDry && process.argv.includes("--quick")

const repositoryOf = () => {
  const { repository } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  return typeof repository === "string" ? repository : repository?.url
}

/** What a release needs besides the packages; npm makes provenance only in CI, for a public repository that the packages name. */
const missing = () => {
  const { env } = process
  const pending = readdirSync(join(root, ".changeset")).filter((file) => file.endsWith(".md"))
  const without = publishable.filter(({ manifest }) => manifest.publishConfig?.provenance !== true)
  return [
    ...(pending.length > 0
      ? [`${pending.length} changesets are pending: pnpm changeset version writes versions and changelogs`]
      : []),
    ...(repositoryOf() === undefined ? ["package.json names no repository, which provenance needs"] : []),
    ...(without.length > 0
      ? [`publishConfig.provenance is not set in ${without.map(({ name }) => name).join(", ")}`]
      : []),
    ...(env.ACTIONS_ID_TOKEN_REQUEST_URL === undefined
      ? ["provenance is made in CI only (.github/workflows/release.yml), with the permission id-token: write"]
      : []),
    ...(run("git", ["status", "--porcelain", "--untracked-files=no"], { cwd: root }).text === ""
      ? []
      : ["files are changed and not committed"]),
  ]
}

/** What npm would publish: name, version, bytes, number of files. */
const preview = (folder) =>
  publishable.map((one) => {
    const { ok, text, tarball } = pack(one, folder)
    if (!ok) throw new Error(`${one.manifest.name}: ${text}`)
    const shown = run("npm", ["publish", tarball, "--dry-run", "--json", "--access", "public", "--provenance=false"], {
      cwd: folder,
      env: plain,
    })
    const found = /\{[\s\S]*\}/.exec(shown.text)
    const json = found === null ? {} : JSON.parse(found[0])
    const {
      size = 0,
      entryCount = 0,
      version = one.manifest.version,
    } = json.size === undefined ? (json[one.manifest.name] ?? {}) : json
    return { name: one.manifest.name, version, size, entryCount, ok: shown.ok, text: shown.text }
  })

if (!isQuick) {
  const { passed, failed, skipped } = await check()
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  if (failed > 0) process.exit(1)
}
const open = missing()
if (!isDry) {
  if (open.length > 0) {
    for (const line of open) console.error(`not ready: ${line}`)
    process.exit(1)
  }
  const { status } = spawnSync("changeset", ["publish"], {
    stdio: "inherit",
    cwd: root,
    env: { ...process.env, NPM_CONFIG_PROVENANCE: "true" },
  })
  process.exit(status ?? 1)
}
const folder = mkdtempSync(join(tmpdir(), "adafm-release-"))
try {
  const all = preview(folder)
  for (const { name, version, size, entryCount, ok, text } of all) {
    console.log(`${ok ? "ready" : "FAILED"}  ${name}@${version}: ${(size / 1000).toFixed(0)} kB, ${entryCount} files`)
    if (!ok) console.log(text.replace(/^/gm, "        "))
  }
  for (const line of open) console.log(`before a release: ${line}`)
  process.exitCode = all.every(({ ok }) => ok) ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
