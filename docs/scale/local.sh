#!/usr/bin/env bash
# Several workers on this machine, over the loopback: to try it, or to see it fail.
#
#   docs/scale/local.sh 2 --flagfile=configs/quickstart.flags
#
# Each gets its share of the cores. Ctrl-C or SIGTERM: all save, and end.
set -m -o pipefail -u
count=$1
shift
export TF_NUM_INTRAOP_THREADS=$(((($(nproc) - 1) / count) + 1))
port=${PORT:-12345}
addresses=$(seq "$port" $((port + count - 1)) | sed 's/.*/"127.0.0.1:&"/' | paste -sd, -)
workers=()
for ((index = 0; index < count; index++)); do
  task="{\"type\": \"worker\", \"index\": $index}"
  TF_CONFIG="{\"cluster\": {\"worker\": [$addresses]}, \"task\": $task}" \
    "${PYTHON:-python}" train_main.py "$@" &
  workers+=($!)
done
# In process groups of their own (set -m) they do not hear the terminal's Ctrl-C.
trap 'kill -TERM "${workers[@]}" 2> /dev/null' INT TERM
status=0
for worker in "${workers[@]}"; do
  # A signal ends `wait`, and not the worker.
  while wait "$worker"; own=$?; kill -0 "$worker" 2> /dev/null; do :; done
  ((own)) && status=$own
done
exit "$status"
