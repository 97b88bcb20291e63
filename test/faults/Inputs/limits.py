# Runs a command under limits of its address space, from what its libraries need up to what it needs: it ends well, or with 1 and a
# sentence, or the loader of the system stops it before main() (127).
#
#   limits.py COMMAND...
import resource
import subprocess
import sys

MEBIBYTE = 1 << 20
codes, wrong = [], 0
for mebibytes in range(64, 4096, 32):
    limit = mebibytes * MEBIBYTE
    ended = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    codes.append(ended.returncode)
    if not (ended.returncode in (0, 127) or (ended.returncode == 1 and "error: " in ended.stdout)):
        wrong += 1
        print(f"{mebibytes} MiB: ended with {ended.returncode}: {ended.stdout[-300:]}")
    if ended.returncode == 0:
        break
print(f"{codes.count(1)} limits were told, {wrong} ended wrong; at last {codes[-1]}")
