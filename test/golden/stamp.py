# Ties golden files to the scripts that make them: `of(SCRIPT)` is a hash of a script and of the modules beside it that it imports, which
# the files have in their metadata as `sources`. Comments and blank lines do not count.
#
#   stamp.py      compares; fails where a file was made by other sources
import glob
import hashlib
import io
import json
import os
import re
import struct
import sys
import tokenize

HERE = os.path.dirname(os.path.abspath(__file__))
MAKERS = {"values": "values.py", "pixels": "pixels.py"}  # make.py makes the others


def scripts(path, found):
    """`path` and what it imports from this folder, each once."""
    if path not in found and os.path.exists(path):
        with open(path) as file:
            found[path] = file.read()
        for name in re.findall(r"^(?:import|from) (\w+)", found[path], re.MULTILINE):
            scripts(os.path.join(HERE, f"{name}.py"), found)
    return found


def of(script):
    found = scripts(os.path.abspath(script), {})
    found.pop(os.path.abspath(__file__), None)
    digest = hashlib.sha256()
    for path in sorted(found):
        tokens = tokenize.generate_tokens(io.StringIO(found[path]).readline)
        digest.update(os.path.basename(path).encode())
        for token in tokens:
            if token.type not in (tokenize.COMMENT, tokenize.NL):
                digest.update(token.string.encode() + b"\0")
    return digest.hexdigest()[:16]


def main():
    wrong = 0
    files = sorted(glob.glob(os.path.join(HERE, "*.safetensors")))
    for path in files:
        name = os.path.basename(path).removesuffix(".safetensors")
        maker = MAKERS.get(name, "make.py")
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            made = json.loads(file.read(length)).get("__metadata__", {}).get("sources")
        if made != of(os.path.join(HERE, maker)):
            wrong += 1
            print(f"{name}.safetensors was made by other sources than {maker} has now: make it again (README.md)")
    print(f"{len(files) - wrong} of {len(files)} golden files were made by the scripts beside them")
    sys.exit(1 if wrong or not files else 0)


if __name__ == "__main__":
    main()
