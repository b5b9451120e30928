#!/bin/sh
# Runs all checks and measurements of the kit that contains this file. It needs an NVIDIA driver. The results are
# gpu-check.json, gpu-check.md and, if python3 has PyTorch with CUDA, pytorch.json. They go to the folder given as
# argument, or to `results` in the kit.
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/results}
mkdir -p "$out" || exit 2
"$here/moproc-gpu-check" kit "$here" --out "$out"
status=$?
[ $status -eq 2 ] && exit 2 # bad input, or a file that moproc did not write has the name of a result and stays as it is
if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  python3 "$here/baselines.py" --json "$out/pytorch.json" >> "$out/gpu-check.md" || status=1
else
  echo "python3 has no PyTorch with CUDA: no comparison with PyTorch" | tee -a "$out/gpu-check.md"
fi
exit $status
