/**
 * `pnpm campaign [--minutes 60] [--seed 0] [--out runs/campaign] [--short] [--only ROW]`: damages every format that is read, opens
 * pickles that run commands, kills runs, fills the disk, takes memory away, answers downloads with nonsense, watches the memory. Prints a table and every fault; exits with 1 if there is one. A campaign
 * that was stopped goes on where it was.
 */
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import * as Damage from "./Damage.ts"
import * as Hostile from "./Hostile.ts"
import * as Ledger from "./Ledger.ts"
import * as Memory from "./Memory.ts"
import * as Runs from "./Runs.ts"
import * as Server from "./Server.ts"
import * as Verdict from "./Verdict.ts"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: "0" },
    out: { type: "string", default: "runs/campaign" },
    short: { type: "boolean", default: false },
    only: { type: "string" },
  },
})

/** Trials of each row in one round; a long campaign makes rounds until its time is over. */
const ROUND = { damage: 200, pickles: 200, runs: 1, servers: Server.names.length }
/** The short form makes one round of damage and one of the servers, whatever the time: the result depends on no clock. */
const SHORT = { damage: 12, pickles: 24 }
const STEPS = 10_000

const seed = Number(values.seed)
const out = resolve(values.out)
const ledger = await Ledger.open(join(out, "campaign.jsonl"), `seed ${seed}`)
const damage = Damage.open(join(out, "files"), seed)
const runs = Runs.open(join(out, "runs"), seed)

const wanted = (row: string): boolean => values.only === undefined || row.includes(values.only)
const done = (row: string): number => ledger.trials.filter((trial) => trial.row === row).length

const repeat = async (row: string, times: number, trial: (number: number) => Promise<Ledger.Trial>): Promise<void> => {
  if (!wanted(row)) return
  const from = done(row)
  for (let number = from; number < from + times; number++) {
    const found = await trial(number)
    await ledger.add(found)
    if (Verdict.isFault(found.verdict))
      console.error(`${found.verdict}: ${found.row}, trial ${number}: ${found.detail}`)
  }
}

const damaged = async (times: number): Promise<void> => {
  for (const row of Damage.rows) await repeat(row, Damage.timesOf(row, times), (number) => damage.trial(row, number))
}
const pickled = (times: number): Promise<void> =>
  repeat(Hostile.row, times, (number) => Hostile.trial(seed, number, join(out, "pickles")))
const served = (): Promise<void> =>
  repeat("a hostile server", ROUND.servers, (number) => Server.trial(number, join(out, "downloads")))

try {
  if (values.short) {
    await damaged(SHORT.damage)
    await pickled(SHORT.pickles)
    await served()
  } else {
    const end = performance.now() + 60_000 * Number(values.minutes)
    if (done("a hostile server") === 0) await served()
    while (performance.now() < end) {
      await damaged(ROUND.damage)
      await pickled(ROUND.pickles)
      await repeat("a run killed at a random moment", ROUND.runs, runs.kill)
      await repeat("a run killed while it writes", ROUND.runs, runs.killWriting)
      await repeat("a limit of file sizes", ROUND.runs, runs.fill)
      if (Runs.possible.tmpfs) await repeat("a full disk", ROUND.runs, runs.tmpfs)
      if (Runs.possible.starve) await repeat("too little memory", ROUND.runs, runs.starve)
    }
    const memory = `memory over ${STEPS.toLocaleString("en")} steps`
    if (done(memory) === 0) await repeat(memory, 1, (number) => Memory.trial(number, STEPS))
  }
} finally {
  damage.close()
}

const faults = ledger.trials.filter(({ verdict }) => Verdict.isFault(verdict))
console.log(Ledger.table(ledger.trials))
console.log(
  `\n${ledger.trials.length} trials, ${faults.length} faults; every trial is in ${join(out, "campaign.jsonl")}`,
)
process.exit(faults.length === 0 ? 0 : 1)
