#!/usr/bin/env bash
# A Ray cluster by hand, and a sweep on it. Every node has this package (pip install
# 'disentanglement-zoo[ray]') and sees the folder of the runs under one path.
#
#   on the first node:   bash examples/cluster/ray.sh head
#   on every other:      bash examples/cluster/ray.sh node FIRST_NODE
#   anywhere of these:   bash examples/cluster/ray.sh sweep FIRST_NODE
set -euo pipefail

case "${1:-}" in
  head) ray start --head --port=6379 ;;
  node) ray start --address="$2:6379" ;;
  sweep)
    python -m zoo.sweep --gin_file=gin/beta_vae.gin --set='BetaVAE.beta=1,2,4,8' --seeds=5 \
      --engine=ray --address="$2:6379" --out="${OUT:-runs/beta}"
    ;;
  *) echo "usage: $0 head | node FIRST_NODE | sweep FIRST_NODE" >&2; exit 2 ;;
esac
