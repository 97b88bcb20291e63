#!/usr/bin/env bash
# prepare.sh: what run.sh needs on a machine with a GPU and nothing else, made on one with the compiler: one archive of the runtime, of
# artifacts for the GPU, and of what this machine's CPU computes by the same methods. README.md has the table.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec /usr/bin/env python3 "$here/prepare.py" "$@"
