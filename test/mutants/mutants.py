"""Small wrong changes ("mutants") and whether the tests notice: each is applied in a copy of the tree, built, and judged by its own tests.

  mutants.py [PATTERN]           try the mutants whose "LIST: NAME FILE" the regular expression matches (all of them by default)
  mutants.py --list [PATTERN]    name them with what they would break
  mutants.py --check [LISTS]     only prove that each can be tried: the lists are well-formed, each change fits exactly one place, its
                                 tests exist (LISTS: another folder of lists)

Lists are test/mutants/*.txt; README.md describes them. Exit status 0: all were killed; 1: not so; 2: a list or the command is wrong.

The copy lies in build/mutants; work in the tree may go on meanwhile. Where the kernel lets us mount it over the project's root (in a
namespace of our own), the build folder is copied too and holds as it is: a mutant costs its own files and their links. Elsewhere the copy
is configured and built once.
"""
import argparse
import dataclasses
import fcntl
import glob
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = "build/release"
HEADERS = "build/cuda"  # of CUDA, fetched by ./do
PLACE = os.path.join(ROOT, "build", "mutants")
BASE, COPY = os.path.join(PLACE, "base"), os.path.join(PLACE, "tree")  # as it was when we began; where mutants are built
COLUMN = 7  # where the text of a line begins
KEYS = ["mutant", "why", "file", "tests", "-", "+"]


class Malformed(Exception):
    """An entry that cannot be read or tried; the text says where and why."""


# The suites of GoogleTest, and their programs.
SUITES = {"unit": "doppel-unit-tests", "cuda": "doppel-cuda-tests", "codegen": "doppel-codegen-tests"}


@dataclasses.dataclass
class Mutant:
    list: str
    name: str
    why: str
    file: str
    tests: list
    old: str
    new: str


# ---- Lists ----


def read_block(where, lines):
    """One mutant of `lines`, pairs of (number, text)."""
    found = {key: [] for key in KEYS}
    last = 0
    for number, line in lines:
        key, text = line[:COLUMN].rstrip(), line[COLUMN:]
        if key not in KEYS or (text and line[COLUMN - 1] != " "):
            raise Malformed(f"{where}:{number}: a line begins with one of {', '.join(KEYS)}, its text in column {COLUMN + 1}: {line}")
        if KEYS.index(key) < last or (found[key] and key not in "-+"):
            raise Malformed(f"{where}:{number}: '{key}' stands once, in the order {', '.join(KEYS)}")
        last = KEYS.index(key)
        found[key].append(text)
    first = lines[0][0]
    for key in KEYS[:-1]:
        if not any(text.strip() for text in found[key]):
            raise Malformed(f"{where}:{first}: a mutant without '{key}'")
    name, tests = found["mutant"][0], found["tests"][0].split()
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise Malformed(f"{where}:{first}: a mutant's name is of small letters, digits and '-': {name}")
    for test in tests:
        if not re.fullmatch(rf"({'|'.join(SUITES)}|lit):\S+", test):
            raise Malformed(f"{where}:{first}: a test is {', '.join(kind + ':FILTER' for kind in SUITES)} or lit:PATH, not {test}")
    old, new = "\n".join(found["-"]), "\n".join(found["+"])
    if old == new:
        raise Malformed(f"{where}:{first}: {name} changes nothing")
    return Mutant(os.path.splitext(os.path.basename(where))[0], name, found["why"][0], found["file"][0], tests, old, new)


def read_lists(folder):
    """The mutants of all lists of `folder`."""
    mutants, names = [], {}
    for path in sorted(glob.glob(os.path.join(folder, "*.txt"))):
        block, blocks = [], []
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate([*file.read().splitlines(), ""], 1):
                if line.startswith("#"):
                    continue
                if line.strip():
                    block.append((number, line))
                elif block:
                    blocks.append(block)
                    block = []
        for block in blocks:
            mutant = read_block(path, block)
            if mutant.name in names:
                raise Malformed(f"{path}:{block[0][0]}: {mutant.name} stands in {names[mutant.name]} too")
            names[mutant.name] = path
            mutants.append(mutant)
    return mutants


def mutated(mutant, root):
    """The text of the mutant's file with the change."""
    path = os.path.join(root, mutant.file)
    if not os.path.isfile(path):
        raise Malformed(f"{mutant.name}: there is no {mutant.file}")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    places = text.count(mutant.old)
    if places != 1:
        raise Malformed(f"{mutant.name}: what it changes stands {places} times in {mutant.file}, not once")
    return text.replace(mutant.old, mutant.new)


def listed_tests(program):
    """The names of all tests of a program, as Suite.Test."""
    names, suite = [], ""
    for line in subprocess.run([program, "--gtest_list_tests"], capture_output=True, text=True, check=True).stdout.splitlines():
        line = line.split("#")[0].rstrip()
        if line.startswith(" "):
            names.append(suite + line.strip())
        elif line.endswith("."):
            suite = line
    return names


def selects(gtest_filter, name):
    """Whether GoogleTest's filter takes the test: patterns apart by ':', what stands behind a '-' is left out."""
    def any_of(patterns):
        return any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), name) for pattern in patterns.split(":"))

    wanted, _, unwanted = gtest_filter.partition("-")
    return any_of(wanted or "*") and not (unwanted and any_of(unwanted))


def check_tests(mutant, listed={}):
    """Raises if a test of the mutant does not exist (one of GoogleTest: if the names of its suite are given)."""
    for test in mutant.tests:
        kind, what = test.split(":", 1)
        if kind in listed and not any(selects(what, name) for name in listed[kind]):
            raise Malformed(f"{mutant.name}: no {kind} test is called {what}")
        if kind == "lit":
            path = os.path.join(ROOT, "test", what)
            if not os.path.isfile(path) or "RUN:" not in read(path):
                raise Malformed(f"{mutant.name}: no lit test is called {what}")


def check(folder):
    """Prints what of the lists cannot be tried; returns the exit status."""
    listed = {kind: listed_tests(shutil.which(program) or os.path.join(ROOT, BUILD, "bin", program))
              for kind, program in SUITES.items()}
    wrong = 0
    mutants = read_lists(folder)
    for mutant in mutants:
        for step in (lambda: mutated(mutant, ROOT), lambda: check_tests(mutant, listed)):
            try:
                step()
            except Malformed as problem:
                print(problem)
                wrong += 1
    print(f"{len(mutants)} mutants, {wrong} cannot be tried")
    return 1 if wrong else 0


# ---- The copy ----


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def tree_files():
    """The files of the tree, relative: what git knows or would add; of an unpacked archive all outside of build/."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-coz", "--exclude-standard"], capture_output=True, text=True)
    if listed.returncode != 0:
        return files_below(ROOT, without={"build"})
    return {path for path in listed.stdout.split("\0") if path and os.path.lexists(os.path.join(ROOT, path))}


def files_below(root, part="", without=()):
    """The files in `part` of a folder, relative to the folder. Folders that tests of lit left are passed over."""
    found = set()
    for folder, folders, names in os.walk(os.path.join(root, part) if part else root):
        folders[:] = [name for name in folders if name != "Output" and not (folder == root and name in without)]
        found.update(os.path.relpath(os.path.join(folder, name), root) for name in names)
    return found


def same_file(left, right):
    """Whether size and time agree to the nanosecond, as of a file and its copy."""
    if not os.path.lexists(right) or os.path.islink(left) != os.path.islink(right):
        return False
    if os.path.islink(left):
        return os.readlink(left) == os.readlink(right)
    a, b = os.stat(left), os.stat(right)
    return (a.st_size, a.st_mtime_ns, a.st_mode) == (b.st_size, b.st_mtime_ns, b.st_mode)


def copy_file(source, target):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.lexists(target):
        os.unlink(target)
    shutil.copy2(source, target, follow_symlinks=False)


def mirror(source, target, wanted, present):
    """Makes the files `wanted` of `target` those of `source`, times included, and removes others of `present`."""
    for path in present - wanted:
        os.unlink(os.path.join(target, path))
    for path in wanted:
        if not same_file(os.path.join(source, path), os.path.join(target, path)):
            copy_file(os.path.join(source, path), os.path.join(target, path))


class MountedCopy:
    """Commands see the copy at the project's root. Tree and build folder are held equal to those at the beginning by sizes and times, so
    that after a mutant nothing is built again."""

    root = ROOT

    def __init__(self, unshare):
        self.prefix = [*unshare, "bash", "-c", 'mount --bind "$0" "$1" && cd "$1" && shift && exec "$@"', COPY, ROOT]

    def freeze(self):
        mirror(ROOT, BASE, tree_files() | files_below(ROOT, HEADERS) | files_below(ROOT, BUILD), files_below(BASE))

    def refresh(self):
        mirror(BASE, COPY, files_below(BASE), files_below(COPY))


class ConfiguredCopy:
    """The copy with a build folder of its own, configured there: for machines that do not let us mount."""

    root = COPY
    prefix = []

    def freeze(self):
        mirror(ROOT, BASE, tree_files() | files_below(ROOT, HEADERS), files_below(BASE))

    def refresh(self):
        wanted, present = files_below(BASE), files_below(COPY, without={"build"})
        for path in present - wanted:
            os.unlink(os.path.join(COPY, path))
        for path in wanted:
            source, target = os.path.join(BASE, path), os.path.join(COPY, path)
            if os.path.islink(source) or not os.path.isfile(target) or open(source, "rb").read() != open(target, "rb").read():
                copy_file(source, target)
                os.utime(target, follow_symlinks=False)  # newer than what was built of the text before
        if not os.path.exists(os.path.join(COPY, BUILD, "build.ninja")):
            print("Configuring and building a copy, once: this kernel does not let us mount one", flush=True)
            launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
            subprocess.run(["cmake", "--preset", "release", *launcher], cwd=COPY, check=True, stdout=subprocess.DEVNULL)


def make_copy():
    os.makedirs(COPY, exist_ok=True)
    for unshare in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        if shutil.which("unshare") and subprocess.run([*unshare, "mount", "--bind", COPY, ROOT], capture_output=True).returncode == 0:
            return MountedCopy(unshare)
    return ConfiguredCopy()


# ---- Building and testing ----


def limit_memory():
    """Half of the machine's memory for data: a mutant that never stops to allocate ends alone."""
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    resource.setrlimit(resource.RLIMIT_DATA, (half, half))


def execute(copy, command, seconds):
    """Runs in the copy: (exit status, output), the status None where the time was over (whatever it started is ended too)."""
    environment = dict(os.environ, DOPPEL_TEST_LONG="1")
    process = subprocess.Popen([*copy.prefix, *command], cwd=copy.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", env=environment, start_new_session=True,
                               preexec_fn=limit_memory)
    try:
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return None, output


def build(copy, targets, seconds):
    return execute(copy, ["cmake", "--build", BUILD, "-j", str(os.cpu_count()), "--target", *targets], seconds)


def targets_of(tests, root):
    """What must be built for the tests: suites of GoogleTest; the programs that a lit test and its scripts name, all of them where it names
    none."""
    programs = set(re.findall(r"^build bin/([\w-]+):", read(os.path.join(ROOT, BUILD, "build.ninja")), re.M))
    targets = set()
    for test in tests:
        kind, what = test.split(":", 1)
        if kind in SUITES:
            targets.add(SUITES[kind])
            continue
        text = read(os.path.join(root, "test", what))
        for script in set(re.findall(r"[\w-]+\.py", text)):
            for path in glob.glob(os.path.join(root, "test", "**", script), recursive=True):
                text += read(path)
        named = programs & set(re.findall(r"(?<![\w-])doppel(?:-[a-z]+)*(?![\w-])", text)) or programs - set(SUITES.values())
        if "doppel" in named:
            named.add("doppel-compile")  # which `doppel compile` and `doppel train` call
        targets |= named
    return sorted(targets)


def lit_program():
    return re.search(r"^DOPPEL_LIT:\w+=(.*)$", read(os.path.join(ROOT, BUILD, "CMakeCache.txt")), re.M).group(1)


def run_test(copy, test, seconds):
    """(verdict, name): verdict is PASS, FAIL or SKIP (this machine lacks what the test needs); the name that of what failed."""
    kind, what = test.split(":", 1)
    build_folder = os.path.join(copy.root, BUILD)
    if kind in SUITES:
        status, output = execute(copy, [os.path.join(build_folder, "bin", SUITES[kind]), f"--gtest_filter={what}"], seconds)
        failed = re.findall(r"^\[  FAILED  \] ([\w./]+)(?:,| \()", output, re.M)
        begun = re.findall(r"^\[ RUN      \] (\S+)", output, re.M)
        if status == 0:
            return ("PASS" if "[       OK ]" in output else "SKIP"), test
        return "FAIL", f"{kind}:" + (failed or begun[-1:] or [what])[0] + (" hangs" if status is None else "")
    report = os.path.join(build_folder, "mutant.json")
    status, output = execute(copy, ["/usr/bin/python3", lit_program(), "-q", "-o", report, os.path.join(build_folder, "test", what)],
                             seconds)
    if status == 0:
        return ("SKIP" if read_report(copy) in ("UNSUPPORTED", "SKIPPED", "EXCLUDED") else "PASS"), test
    return "FAIL", test + (" hangs" if status is None else "")


def read_report(copy):
    with open(os.path.join(COPY, BUILD, "mutant.json")) as file:
        return json.load(file)["tests"][0]["code"]


class Trial:
    """Tries mutants one after another. Tests are proved first on the tree as it is, each once: what they say there, and their time."""

    def __init__(self, copy):
        self.copy = copy
        self.proved = {}

    def prove(self, test):
        if test not in self.proved:
            begin = time.monotonic()
            verdict, _ = run_test(self.copy, test, 1800)
            self.proved[test] = verdict, time.monotonic() - begin
        return self.proved[test][0]

    def judge(self, mutant):
        """(verdict, detail): killed, LIVED, or why it could not be tried."""
        self.copy.refresh()
        targets = targets_of(mutant.tests, BASE)
        try:
            text = mutated(mutant, COPY)
        except Malformed as problem:
            return "does not apply", str(problem)
        if isinstance(self.copy, ConfiguredCopy) and build(self.copy, targets, 7200)[0] != 0:
            return "not tried", "the tree does not build"
        tests = [test for test in mutant.tests if self.prove(test) != "SKIP"]
        failing = [test for test in tests if self.proved[test][0] == "FAIL"]
        if failing:
            return "not tried", f"{failing[0]} fails without it"
        if not tests:
            return "not tried", "this machine lacks what its tests need"
        with open(os.path.join(COPY, mutant.file), "w", encoding="utf-8") as file:
            file.write(text)
        status, output = build(self.copy, targets, 3600)
        if status != 0:
            with open(os.path.join(PLACE, "build.log"), "w", encoding="utf-8") as file:
                file.write(output)
            if "static assertion failed" in output:
                return "killed", "a static_assert"
            return "does not build", "see build/mutants/build.log"
        for test in tests:
            verdict, name = run_test(self.copy, test, 30 + 10 * self.proved[test][1])
            if verdict != "PASS":
                return "killed", name
        return "LIVED", " ".join(tests)


def try_all(mutants):
    os.makedirs(PLACE, exist_ok=True)
    lock = open(os.path.join(PLACE, "lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("mutants: another run is at work in build/mutants", file=sys.stderr)
        return 2
    begin, copy = time.monotonic(), make_copy()
    if isinstance(copy, MountedCopy):
        targets = sorted({target for mutant in mutants for target in targets_of(mutant.tests, ROOT)})
        print(f"Building {' '.join(targets)}", flush=True)
        built = subprocess.run(["cmake", "--build", BUILD, "-j", str(os.cpu_count()), "--target", *targets], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if built.returncode != 0:
            print(*built.stdout.splitlines()[-30:], sep="\n")
            return 2
    copy.freeze()
    trial, verdicts = Trial(copy), []
    for number, mutant in enumerate(mutants, 1):
        start = time.monotonic()
        verdict, detail = trial.judge(mutant)
        verdicts.append((mutant, verdict, detail))
        print(f"{number:4}/{len(mutants)}  {verdict:14}  {mutant.name}  ({detail}; {time.monotonic() - start:.0f} s)", flush=True)
    minutes, seconds = divmod(round(time.monotonic() - begin), 60)
    rest = [entry for entry in verdicts if entry[1] != "killed"]
    lived = sum(verdict == "LIVED" for _, verdict, _ in rest)
    print(f"\n{len(mutants)} mutants: {len(mutants) - len(rest)} killed, {lived} lived, {len(rest) - lived} not tried; {minutes}:{seconds:02}")
    for mutant, verdict, detail in rest:
        print(f"  {verdict:14}  {mutant.name}  {mutant.file}: {mutant.why}\n{'':18}{detail}")
    return 1 if rest else 0


def main():
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__.split("\n")[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="name the mutants with what they would break")
    what.add_argument("--check", nargs="?", const=os.path.join(ROOT, "test", "mutants"), metavar="LISTS",
                      help="only prove that each mutant can be tried")
    parser.add_argument("pattern", nargs="?", default="", metavar="PATTERN", help='a regular expression, sought in "LIST: NAME FILE"')
    arguments = parser.parse_args()
    try:
        if arguments.check:
            return check(arguments.check)
        pattern = re.compile(arguments.pattern)
        mutants = [mutant for mutant in read_lists(os.path.join(ROOT, "test", "mutants"))
                   if pattern.search(f"{mutant.list}: {mutant.name} {mutant.file}")]
        if not mutants:
            raise Malformed(f"no mutant matches '{arguments.pattern}'")
        if arguments.list:
            for mutant in mutants:
                print(f"{mutant.list}: {mutant.name}  {mutant.file}\n    {mutant.why}")
            return 0
        for mutant in mutants:
            check_tests(mutant)
        return try_all(mutants)
    except Malformed as problem:
        print(f"mutants: {problem}", file=sys.stderr)
        return 2
    except re.error as problem:
        print(f"mutants: '{arguments.pattern}' is no regular expression: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
