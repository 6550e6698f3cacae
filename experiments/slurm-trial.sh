#!/bin/bash
# Tries `--on slurm` on this machine: starts a Slurm of its own (Debian: apt-get install slurm-wlm munge; run as root), submits the
# smoke cells of an experiment three at a time, kills one task in the middle, waits until Slurm has requeued and finished it, and
# collects the pages. Not part of `npm test`.   usage: experiments/slurm-trial.sh [EXPERIMENT]
set -euo pipefail
cd "$(dirname "$0")/.."
experiment=${1:-ablation-layers}
place=$(mktemp -d)
host=$(hostname -s)
export SLURM_CONF=$place/slurm.conf

cat > "$SLURM_CONF" <<CONF
ClusterName=trial
SlurmctldHost=$host
AuthType=auth/munge
SlurmUser=root
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldPort=17817
SlurmdPort=17818
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
# four places on whatever this machine has
SlurmdParameters=config_overrides
JobRequeue=1
NodeName=$host CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=trial Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
CONF
mkdir -p "$place/state" "$place/spool" /run/munge
pgrep -x munged > /dev/null || { chown munge /run/munge; runuser -u munge -- /usr/sbin/munged; }
/usr/sbin/slurmctld -L "$place/slurmctld.log"
/usr/sbin/slurmd -L "$place/slurmd.log"
finish() {
  for name in slurmd slurmctld; do [ -f "$place/$name.pid" ] && kill "$(cat "$place/$name.pid")" || true; done
}
trap finish EXIT
until sinfo -h -o %t | grep -q idle; do sleep 1; done

pnpm -s exp "$experiment" --profile smoke --threads 1 --jobs 3 --memory 1 --on slurm
job=$(squeue -h -o %F | sort -u | head -1)
until [ -n "$(squeue -h -t RUNNING -o %i | head -1)" ]; do sleep 1; done
victim=$(squeue -h -t RUNNING -o %i | head -1)
sleep 5
echo "requeueing task $victim in the middle"
scontrol requeue "$victim"
until [ -z "$(squeue -h)" ]; do
  # a requeued task waits two minutes before it may run again; release it
  squeue -h -t PENDING -o %i -r | while read -r task; do scontrol update JobId="$task" StartTime=now 2> /dev/null || true; done
  sleep 3
done
echo "job $job is done"
for log in runs/slurm/"$job"-*.log; do echo "$log"; tail -n 2 "$log"; done
pnpm -s exp "$experiment" --profile smoke --threads 1 --budget 1s
echo "logs of Slurm: $place"
