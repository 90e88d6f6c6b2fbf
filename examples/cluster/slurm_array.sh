#!/usr/bin/env bash
# Twenty Slurm tasks at one table, without a driver and without submitit: each runs the same command
# on the shared folder, claims what no other is at, saves before its time is over, and is queued
# again as long as runs are left (exit code 75).
#
#   sbatch examples/cluster/slurm_array.sh
#SBATCH --job-name=zoo
#SBATCH --array=0-19
#SBATCH --cpus-per-task=4
#SBATCH --gpus-per-task=1
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --output=slurm-%A_%a.log
set -uo pipefail

# TERM, which Slurm sends before it preempts, saves too.
srun python -m zoo.reproduce --table=zietlow/3.3 --budget=paper --jobs=1 --threads=4 --for=23h40m \
  --out="${OUT:-reproductions}"
code=$?
if [ "$code" -eq 75 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
