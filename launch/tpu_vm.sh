#!/usr/bin/env bash
# A slice of TPU VMs (v2 to v6e), from nothing to a finished run:
#
#   launch/tpu_vm.sh create|install|run|watch|logs|status|delete [flags of the run]
#   NAME=words ZONE=us-west4-a TYPE=v5litepod-16 launch/tpu_vm.sh watch \
#       --config=configs/vae.py --workdir=/mnt/shared/vae
#
# `watch` does all of it, and again after a preemption, until the run is complete. Every
# VM has to see the work directory and the data: SHARED is an NFS export, such as one of
# Filestore, mounted at /mnt/shared. SPOT=1 asks for preemptible VMs. DRY_RUN=1 prints
# every command. Newer TPUs are to be had through GKE only, see gke_jobset.yaml.
set -euo pipefail

name=${NAME:-distill-jax}
zone=${ZONE:-us-west4-a}
type=${TYPE:-v5litepod-16}
version=${VERSION:-v2-alpha-tpuv5-lite}
shared=${SHARED:-}
again=${AGAIN_SECONDS:-60}
here=$(cd "$(dirname "$0")/.." && pwd)

do_it() {
  if [ -n "${DRY_RUN:-}" ]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

on_all() {
  do_it gcloud compute tpus tpu-vm ssh "$name" "--zone=$zone" --worker=all \
    "--command=$1"
}

create() {
  local spot=()
  if [ -n "${SPOT:-}" ]; then spot=(--spot); fi
  do_it gcloud compute tpus tpu-vm create "$name" "--zone=$zone" \
    "--accelerator-type=$type" "--version=$version" "${spot[@]}"
}

install() {
  local archive packages="python3.11-venv" mount="true"
  archive=$(mktemp -d)/distill_jax.tar.gz
  do_it git -C "$here" archive --format=tar.gz "--output=$archive" HEAD
  do_it gcloud compute tpus tpu-vm scp "$archive" "$name:distill_jax.tar.gz" \
    "--zone=$zone" --worker=all
  if [ -n "$shared" ]; then
    packages+=" nfs-common"
    mount="sudo mkdir -p /mnt/shared && \
(mountpoint -q /mnt/shared || sudo mount -t nfs $shared /mnt/shared)"
  fi
  # Ubuntu's own Python on these VMs is older than ours.
  on_all "sudo apt-get update -qq && sudo apt-get install -y -qq $packages && $mount && \
mkdir -p distill_jax && tar -xzf distill_jax.tar.gz -C distill_jax && \
cd distill_jax && python3.11 -m venv .venv && .venv/bin/pip install -q -e '.[tpu]'"
}

run() {
  # The same command on every worker; JAX finds out who is who. What a worker prints is
  # in its run.log; a worker told to stop saves, and exits with 143.
  on_all "cd distill_jax && set -o pipefail && .venv/bin/python -m distill_jax.main \
--distributed $(printf '%q ' "$@") 2>&1 | tee -a run.log"
}

state() {
  gcloud compute tpus tpu-vm describe "$name" "--zone=$zone" "--format=value(state)" \
    2>/dev/null || echo MISSING
}

# Until the run ends with 0: whatever took it away, the VM or a worker, it goes on from
# its last checkpoint.
watch() {
  if [ -n "${DRY_RUN:-}" ]; then
    create
    install
    run "$@"
    return
  fi
  while true; do
    if [ "$(state)" != READY ]; then
      delete || true
      if ! (create && install); then
        echo "no TPU now; again in $again s" >&2
        sleep "$again"
        continue
      fi
    fi
    if run "$@"; then return; fi
    echo "the run was cut off; again in $again s" >&2
    sleep "$again"
  done
}

logs() { on_all "tail -n ${LINES_SHOWN:-50} distill_jax/run.log"; }

status() {
  do_it gcloud compute tpus tpu-vm describe "$name" "--zone=$zone"
}

delete() {
  do_it gcloud compute tpus tpu-vm delete "$name" "--zone=$zone" --quiet
}

verb=${1:-}
case "$verb" in
  create | install | run | watch | logs | status | delete) ;;
  *)
    sed -n '2,/^set -euo/{/^#/!q;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
esac
shift
"$verb" "$@"
