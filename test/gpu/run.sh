#!/usr/bin/env bash
# run.sh ARCHIVE [--part correct | speed] [--json FILE]: tries an archive of prepare.sh on this machine and prints one
# table last. Exit code 1 where something is wrong. Needs python3 (no package of it), tar, and NVIDIA's driver, cuDNN and cuBLASLt.
set -euo pipefail
[[ $# -ge 1 && -f $1 ]] || { echo "usage: run.sh ARCHIVE [--part correct|speed] [--json FILE]" >&2; exit 2; }
command -v python3 >/dev/null || { echo "run.sh: there is no python3 here" >&2; exit 1; }
archive=$1
shift
work=$(mktemp -d "${TMPDIR:-/tmp}/doppel-gpu.XXXXXX")
trap 'rm -rf "$work"' EXIT
tar -xzf "$archive" -C "$work" && [[ -f $work/doppel-gpu/run.py ]] ||
  { echo "run.sh: $archive is no archive of prepare.sh" >&2; exit 1; }
python3 "$work/doppel-gpu/run.py" "$@"
