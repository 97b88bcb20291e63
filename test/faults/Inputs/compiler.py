# Refuses the memory of the compiler, at every N-th of the call stacks that ask for it: once, or from then on. Each time it ends with the
# artifact, or with 1 and a sentence, and then the file that was there is there.
#
#   compiler.py LIBRARY N WORK ARGUMENT...
import os
import subprocess
import sys

library, every, work, *arguments = sys.argv[1:]
target, log = os.path.join(work, "a.dpx"), os.path.join(work, "log")
command = ["doppel-compile", "compile", *arguments, "-q", "-o", target]
# What is there before: another artifact.
subprocess.run([*command, "--set", "epochs=3"], check=True)
OLD = open(target, "rb").read()


def compile(**fault):
    with open(target, "wb") as file:
        file.write(OLD)
    ended = subprocess.run(command, env=dict(os.environ, **fault), stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    return ended.returncode, (ended.stdout + ended.stderr).decode(errors="replace"), open(target, "rb").read()


refusing = dict(LD_PRELOAD=os.path.abspath(library), DOPPEL_FAULT_CALLS="memory")
code, _, right = compile(**refusing, DOPPEL_FAULT_LOG=log)
stacks = len(open(log).readlines())
if code != 0 or right == OLD or stacks < 1000:
    sys.exit(f"it fails by itself, or asks for no memory: {code}, {stacks} call stacks")
wrong = refused = tries = 0
for number in range(1, stacks + 1, int(every)):
    for lasting in ({}, {"DOPPEL_FAULT_LASTING": "1"}):
        code, text, made = compile(**refusing, DOPPEL_FAULT_AT=str(number), **lasting)
        tries += 1
        refused += code == 1
        right_end = (code == 0 and made == right) or (code == 1 and made == OLD and "error: " in text)
        if not right_end or any(name.startswith(".tmp-") for name in os.listdir(work)):
            wrong += 1
            print(f"{number} {lasting}: ended with {code}: {text[-300:]}; {os.listdir(work)}")
print(f"{tries} refusals at {stacks} call stacks, of which {refused} ended the compiler; {wrong} left something wrong")
