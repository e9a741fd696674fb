#!/usr/bin/env bash
# One worker on each node of a SLURM job. Start it in the repository's directory:
#
#   sbatch --nodes=4 docs/scale/slurm.sh --flagfile=configs/celeba64.flags \
#     --batch_size=80
#
# Two minutes before the time limit SLURM sends SIGTERM: all workers save and end after
# the same step. The same command goes on from there. PORT must be free on every node.
#SBATCH --job-name=hcm
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --signal=TERM@120
set -euo pipefail
addresses=$(scontrol show hostnames "$SLURM_JOB_NODELIST" \
  | sed "s/.*/\"&:${PORT:-12345}\"/" | paste -sd, -)
export CLUSTER="{\"worker\": [$addresses]}"
# Tasks are numbered in the order of the node list.
exec srun --distribution=block --kill-on-bad-exit=1 bash -c '
  task="{\"type\": \"worker\", \"index\": $SLURM_PROCID}"
  export TF_CONFIG="{\"cluster\": $CLUSTER, \"task\": $task}"
  exec "${PYTHON:-python}" train_main.py "$@"' worker "$@"
