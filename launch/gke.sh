#!/usr/bin/env bash
# Starts a run on a TPU slice of a GKE cluster that has JobSet installed:
#
#   IMAGE=REGISTRY/distill_jax launch/gke.sh \
#       --config=configs/vae.py --workdir=/mnt/shared/vae
#
# The image is that of launch/Dockerfile. CLAIM is a volume claim that many pods may
# write (Filestore), with the data and the work directory. DRY_RUN=1 prints the YAML.
# Look with kubectl logs --follow --selector jobset.sigs.k8s.io/jobset-name=NAME
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export NAME=${NAME:-distill-jax} IMAGE=${IMAGE:?the image of launch/Dockerfile}
export ACCELERATOR=${ACCELERATOR:-tpu-v5-lite-podslice} TOPOLOGY=${TOPOLOGY:-4x4}
export VMS=${VMS:-4} CHIPS=${CHIPS:-4} RESTARTS=${RESTARTS:-20} CLAIM=${CLAIM:-shared}

# A list in YAML's flow style is one in JSON.
ARGUMENTS=$(python3 -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@")
export ARGUMENTS
filled=$(python3 -c '
import os, string, sys
print(string.Template(sys.stdin.read().split("\n", 3)[3]).substitute(os.environ))
' <"$here/gke_jobset.yaml")

if [ -n "${DRY_RUN:-}" ]; then
  echo "$filled"
else
  kubectl apply --filename=- <<<"$filled"
fi
