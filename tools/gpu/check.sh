#!/bin/sh
# Runs all checks and measurements of the kit that contains this file. It needs an NVIDIA driver. The results are
# gpu-check.json, gpu-check.md and, if python3 has PyTorch with CUDA, pytorch.json. They go to the folder given as
# argument, or to `results` in the kit. Further arguments are flags of `moproc-gpu-check kit` (--only, --limit, ...).
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/results}
[ $# -gt 0 ] && shift
mkdir -p "$out" || exit 2
exec "$here/moproc-gpu-check" kit "$here" --out "$out" "$@"
