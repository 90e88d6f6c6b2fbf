#!/usr/bin/env bash
# One training over two Slurm nodes, a worker on each with all GPUs of its node. The batch is shared
# among all GPUs. Every node has this package and sees the run's folder under one path. Queued again
# after a preemption or a lost node, it goes on from its last checkpoint.
#
#   sbatch examples/cluster/slurm_workers.sh
#SBATCH --job-name=zoo
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --output=slurm-%j.log
set -euo pipefail

# A port of this job's own: two jobs may be on one node.
port=$((20000 + SLURM_JOB_ID % 20000))
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed "s/.*/\"&:$port\"/" | paste -sd,)
export ZOO_CLUSTER="{\"worker\": [$hosts]}"

# TERM, which Slurm sends before it preempts, saves; a lost worker ends the others.
srun --kill-on-bad-exit=0 bash -c '
  export TF_CONFIG="{\"cluster\": $ZOO_CLUSTER, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
  exec "$@"' worker \
  python -m zoo.train --gin_file=gin/beta_vae.gin --run_dir="${OUT:-runs/beta_vae}" \
  --gin_bindings="train.devices = 'workers'"
