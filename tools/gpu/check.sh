#!/bin/sh
# All checks and measurements of the kit that this file lies in; needs an NVIDIA driver. Results go to the folder given,
# or to `results` in the kit: gpu-check.json and gpu-check.md, and pytorch.json where python3 has PyTorch with CUDA.
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/results}
mkdir -p "$out" || exit 2
"$here/moproc-gpu-check" kit "$here" --out "$out"
status=$?
[ $status -eq 2 ] && exit 2 # bad input, or a file of somebody's where a result goes: nothing is added to it
if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  python3 "$here/baselines.py" --json "$out/pytorch.json" >> "$out/gpu-check.md" || status=1
else
  echo "no PyTorch with CUDA in python3: nothing to compare with" | tee -a "$out/gpu-check.md"
fi
exit $status
