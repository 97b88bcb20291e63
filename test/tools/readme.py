# Runs what the root README shows, so that it stays true.
#
#   readme.py README FOLDER     in FOLDER, which has a link to examples/
#
# Of code blocks: `console` is run line by line; of `console-long` the compilation alone; `dpl` is checked.
import os
import re
import shlex
import subprocess
import sys


def run(words):
    print("$", shlex.join(words), flush=True)
    subprocess.run(words, check=True)


def main():
    with open(sys.argv[1]) as file:
        text = file.read()
    os.chdir(sys.argv[2])
    blocks = re.findall(r"^```(\S+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert {kind for kind, _ in blocks} == {"dpl", "console", "console-long"}
    for kind, body in blocks:
        if kind == "dpl":
            with open("readme.dpl", "w") as file:
                file.write(body)
            run(["doppel", "check", "readme.dpl"])
            continue
        for line in body.splitlines():
            words = shlex.split(line)
            if kind == "console":
                run(words)
            elif words[1] == "train":
                sets = [word for i, word in enumerate(words) if word == "--set" or words[i - 1] == "--set"]
                run(["doppel", "compile", words[2], "-o", "long.dpx", *sets])
    print("all commands of the README ran")


main()
