# Checks the rules of the house that a script can check. Prints what breaks them, one line each; fails if anything does.
#
#   house.py ROOT
#
# Rules: who may include whom (a folder of the left column includes only folders of the right); no C++ names a method (a method is a .dpl
# file); no marks of unfinished work. A file over 700 lines is noted.
import os
import re
import subprocess
import sys

FOLDERS = ["dialects", "passes", "codegen", "runtime", "frontends/spec", "frontends/cli/run", "frontends/cli"]
MAY_INCLUDE = {
    "dialects": ["dialects"],
    "passes": ["passes", "dialects"],
    "codegen": ["codegen", "dialects", "runtime/schema"],
    "runtime": ["runtime"],
    "frontends/spec": ["frontends/spec", "dialects"],
    "frontends/cli/run": ["frontends/cli", "runtime"],
    "frontends/cli": None,  # alone knows all
}
METHODS = re.compile(r"(?<![a-z])(sim_?clr|mo_?co|byol|sim_?siam|swav|dino)(?![a-z])|"
                     r"SimC(LR|lr)|M[oO][cC][oO]|B(YOL|yol)|SimSiam|Sw(AV|av)|DINO|Dino")
# Dialects of LARS and the library's augmentations bear the name of the paper that defines them.
METHODS_MAY_STAND = re.compile(r'\\?"(simclr|byol)\\?"|augment\.\w+')
MARKS = re.compile(r"\b(TODO|FIXME|XXX)\b")
LINES = 700


def folder_of(path):
    matches = [folder for folder in FOLDERS if path.startswith(folder + "/")]
    return max(matches, key=len) if matches else None


def includes(text):
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1)


def check(path, text):
    """Yields (line, message)."""
    folder = folder_of(path)
    allowed = MAY_INCLUDE.get(folder)
    for number, target in includes(text):
        if folder in ("runtime", "frontends/cli/run") and target.startswith(("mlir/", "llvm/")):
            yield number, f"{folder} includes no header of MLIR or LLVM, but {target}"
        if allowed is None or target.endswith("_generated.h"):
            continue
        if folder_of(target) and not any(target.startswith(entry + "/") for entry in allowed):
            yield number, f"{folder} may not include {target}"
    for number, line in enumerate(text.splitlines(), 1):
        code = line.split("//")[0]
        if folder and METHODS.search(METHODS_MAY_STAND.sub("", code)):
            yield number, f"C++ names a method: {line.strip()}"
        if MARKS.search(line):
            yield number, f"a mark of unfinished work: {line.strip()}"


def main():
    root = sys.argv[1]
    if os.path.exists(os.path.join(root, ".git")):
        listed = subprocess.run(["git", "-C", root, "ls-files", "*.cpp", "*.h", "*.td"], capture_output=True, text=True, check=True)
        paths = listed.stdout.split()
    else:  # an unpacked archive
        paths = [os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names]
        paths = [path for path in paths if path.endswith((".cpp", ".h", ".td")) and not path.startswith("build/")]
    broken = 0
    for path in sorted(paths):
        if not os.path.exists(os.path.join(root, path)):
            continue
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        for line, message in check(path, text):
            print(f"{path}:{line}: {message}")
            broken += 1
        if text.count("\n") > LINES:
            print(f"{path}: note: {text.count(chr(10))} lines; over {LINES} wants splitting")
    sys.exit(1 if broken else 0)


main()
