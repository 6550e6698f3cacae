import { expect, test } from "vitest"
import * as CellShare from "./CellShare.ts"
import * as SlurmArray from "./SlurmArray.ts"

const ids = Array.from({ length: 200 }, (_, i) =>
  ((BigInt(i + 1) * 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn).toString(16),
)

test.each([1, 2, 7])("every cell belongs to exactly one of %i shares, and no share is empty", (of) => {
  const shares = Array.from({ length: of }, (_, k) => ids.filter(CellShare.admits({ shard: { index: k + 1, of } })))
  expect(shares.flat().sort()).toEqual([...ids].sort())
  for (const share of shares) expect(share.length).toBeGreaterThan(0)
})

test("a part may name its cells; without a part all are admitted", () => {
  expect(ids.filter(CellShare.admits({ cells: [ids[3]!, "ff"] }))).toEqual([ids[3]])
  expect(ids.filter(CellShare.admits({}))).toEqual(ids)
  expect([{}, { cells: [] }, { shard: { index: 1, of: 1 } }].map(CellShare.isPart)).toEqual([false, true, true])
})

test("a shard is I/N with I from 1 to N", () => {
  expect(CellShare.shard("2/8")).toEqual({ index: 2, of: 8 })
  for (const wrong of ["0/8", "9/8", "2", "a/b", "-1/3", "1/0"])
    expect(() => CellShare.shard(wrong), wrong).toThrow("expected I/N")
})

test("a job array has a task for each cell, and quotes what a shell would read", () => {
  const text = SlurmArray.script({
    cells: ["0a", "0b", "0c"],
    command: ["node", "all.ts", "--data", "my photos"],
    atOnce: 2,
    threads: 1,
    memory: 4,
    folder: "/shared/adafm",
    logs: "/shared/adafm/runs/slurm",
  })
  expect(text).toContain("#SBATCH --array=0-2%2\n")
  expect(text).toContain('#SBATCH --chdir="/shared/adafm"\n')
  expect(text).toContain("cells=(\n  0a\n  0b\n  0c\n)\n")
  expect(text.trimEnd().split("\n").at(-1)).toBe(
    `exec node all.ts --data 'my photos' --cells "\${cells[$SLURM_ARRAY_TASK_ID]}"`,
  )
})
