/** Cells as a job array of Slurm: a task for each cell. A task that is killed and requeued goes on at the cell's last checkpoint. */

export interface Job {
  /** Ids of the cells. */
  readonly cells: readonly string[]
  /** The command that runs a cell, without its id. */
  readonly command: readonly string[]
  /** Tasks that run at the same time. */
  readonly atOnce: number
  /** Threads of a task. */
  readonly threads: number
  /** Memory of a task, in GiB. */
  readonly memory: number
  /** The folder in which the command runs, on storage that all nodes share. */
  readonly folder: string
  /** The folder of the tasks' logs. */
  readonly logs: string
}

const quoted = (word: string): string => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)

export const script = ({ cells, command, atOnce, threads, memory, folder, logs }: Job): string =>
  [
    "#!/bin/bash",
    "#SBATCH --job-name=adafm-cells",
    `#SBATCH --chdir=${JSON.stringify(folder)}`,
    `#SBATCH --array=0-${cells.length - 1}${atOnce < cells.length ? `%${atOnce}` : ""}`,
    `#SBATCH --cpus-per-task=${threads}`,
    `#SBATCH --mem=${memory}G`,
    "#SBATCH --requeue",
    "#SBATCH --open-mode=append",
    `#SBATCH --output=${JSON.stringify(`${logs}/%A-%a.log`)}`,
    "",
    "cells=(",
    ...cells.map((id) => `  ${id}`),
    ")",
    `exec ${command.map(quoted).join(" ")} --cells "\${cells[$SLURM_ARRAY_TASK_ID]}"`,
    "",
  ].join("\n")
