#!/usr/bin/env bash
# One process for each GPU of this machine, or several that share its CPUs:
#
#   launch/local.sh PROCESSES --config=configs/vae.py --workdir=runs/vae
#
# One process by itself uses all GPUs too, and is simpler: this is for trying on one
# machine what runs on many. PYTHON and PORT may be set; DRY_RUN=1 prints and stops.
# The status is that of the first process that fails, and takes the others with it.
set -euo pipefail

count=${1:?how many processes?}
shift
python=${PYTHON:-.venv/bin/python}
port=${PORT:-$((20000 + RANDOM % 20000))}
gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l || true)

started=()
trap 'kill -TERM "${started[@]}" 2>/dev/null || true' TERM INT

for ((number = 0; number < count; number++)); do
  line=("$python" -m distill_jax.main
    "--coordinator=127.0.0.1:$port" "--processes=$count" "--process=$number" "$@")
  if ((gpus >= count)); then
    line=(env "CUDA_VISIBLE_DEVICES=$number" "${line[@]}")
  fi
  if [ -n "${DRY_RUN:-}" ]; then
    printf '%q ' "${line[@]}"
    echo
  else
    "${line[@]}" &
    started+=($!)
  fi
done

status=0
for process in "${started[@]}"; do
  # Interrupted by a signal, wait gives up before the process does.
  while kill -0 "$process" 2>/dev/null; do wait "$process" || true; done
  wait "$process" || status=$?
done
exit "$status"
