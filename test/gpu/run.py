"""Tries an archive of prepare.sh on this machine: run.sh calls it. One table last, what is wrong in words before it, and JSON (--json).

A row of `correct` is ok, FAILED or skipped, with the reason; a row of `speed` has a figure, what it is held to, and PyTorch's figure or `-`.
Nothing here needs a package of Python.
"""
import argparse
import array
import ctypes
import glob
import json
import math
import os
import re
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DOPPEL = os.path.join(HERE, "runtime", "bin", "doppel")
# What a program for another processor may differ by after ten steps from the same values: rounding, and what ReLUs make of it.
LOSS_TOLERANCE, STATE_TOLERANCE = 2e-3, 2e-2
SECONDS = {"correct": 240, "speed": 360}


class Wrong(Exception):
    """What a check found."""


class Late(Wrong):
    """There was no time for a check: what was not seen is not right."""


class Skipped(Exception):
    """Why a check cannot be made here."""


def ended(command, timeout=120, **more):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **more)
    except subprocess.TimeoutExpired:
        raise Wrong(f"{' '.join(command[:4])} ... took more than {timeout:.0f} s")


def run(command, wanted=0, **more):
    """Standard output and error of a command that is to end with status `wanted`."""
    done = ended(command, **more)
    if done.returncode != wanted:
        raise Wrong(f"{' '.join(command)}\nended with {done.returncode}, not {wanted}\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout, done.stderr


def tensors(path):
    """Name -> values of an .safetensors file; f32 alone."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, data, found = json.loads(file.read(size)), file.read(), {}
    for name, facts in header.items():
        if name != "__metadata__" and facts["dtype"] == "F32":
            begin, end = facts["data_offsets"]
            found[name] = array.array("f", data[begin:end])
    return found


def read_json(*parts):
    with open(os.path.join(HERE, *parts)) as file:
        return json.load(file)


def losses(folder):
    with open(os.path.join(folder, "metrics.jsonl")) as file:
        return [json.loads(line)["loss"] for line in file]


def states(folder, step):
    return os.path.join(folder, "checkpoints", f"step-{step:08}", "states.safetensors")


def compare_losses(ours, theirs):
    if len(ours) != len(theirs):
        raise Wrong(f"{len(ours)} steps, not {len(theirs)}")
    for step, (a, b) in enumerate(zip(ours, theirs)):
        if not abs(a - b) <= LOSS_TOLERANCE * max(abs(b), 1e-3):
            raise Wrong(f"the loss of step {step} is {a}, the CPU's {b}")


def compare_states(ours, theirs):
    """Greatest distance of a state, of its own norm; a state of noise beside all of them is not compared."""
    ours, theirs = tensors(ours), tensors(theirs)
    if set(ours) != set(theirs):
        raise Wrong(f"states differ in name: {sorted(set(ours) ^ set(theirs))[:4]}")
    worst = ("", 0.0)
    least = 1e-4 * math.sqrt(max(sum(x * x for x in values) / max(len(values), 1) for values in theirs.values()))
    for name, values in theirs.items():
        norm = math.sqrt(sum(x * x for x in values))
        apart = math.sqrt(sum((x - y) * (x - y) for x, y in zip(values, ours[name])))
        far = apart / max(norm, least * math.sqrt(len(values)), 1e-30)
        if not far <= worst[1]:
            worst = (name, far)
    if not worst[1] <= STATE_TOLERANCE:
        raise Wrong(f"the state {worst[0]} is {worst[1]:.2e} of its norm from the CPU's")
    return worst[1]


def same_file(one, other, what):
    with open(one, "rb") as a, open(other, "rb") as b:
        if a.read() != b.read():
            raise Wrong(f"{what} differ")


class Part:
    """One half of what is tried, which ends at its deadline."""

    def __init__(self, facts, deadline):
        self.facts, self.deadline, self.rows = facts, deadline, []

    def left(self, least=1):
        seconds = self.deadline - time.monotonic()
        if seconds < least:
            raise Late("no time was left")
        return seconds


class Correct(Part):
    def __init__(self, work, facts, deadline):
        super().__init__(facts, deadline)
        self.work = work
        self.isGpu = not facts["target"].startswith("cpu")

    def train(self, artifact, data, out, *more, **options):
        return run([DOPPEL, "run", artifact, "--data", data, "--out", out, *more], timeout=min(120, self.left()), **options)

    def check(self, name, function):
        begin = time.monotonic()
        try:
            self.left()
            result, said = "ok", function() or ""
        except Skipped as reason:
            result, said = "skipped", str(reason)
        except Wrong as reason:
            result, said = "FAILED", str(reason)
        seconds = time.monotonic() - begin
        self.rows.append({"check": name, "result": result, "note": said.splitlines()[0] if said else "", "seconds": round(seconds, 1)})
        print(f"{result:8}{name} ({seconds:.1f} s){': ' + said if said else ''}", flush=True)

    def conformance(self):
        tests = os.path.join(HERE, "tests", "doppel-cuda-tests")
        if not os.path.exists(tests):
            raise Skipped("the archive was made without --tests")
        environment = dict(os.environ, LD_LIBRARY_PATH=os.path.join(HERE, "runtime", "lib"))
        listed, _ = run([tests, "--gtest_list_tests", "--gtest_filter=Gpu/*"], env=environment)
        count = len(re.findall(r"^  ", listed, re.M))
        if not count:
            raise Skipped("its tests have none that is called Gpu/")
        run([tests, "--gtest_filter=Gpu/*", "--gtest_brief=1"], env=environment, timeout=self.left())
        return f"{count} tests"

    def golden(self, name):
        golden, out = read_json("golden", name + ".json"), os.path.join(self.work, name)
        self.train(os.path.join(HERE, "golden", name + ".dpx"), golden["data"], out)
        compare_losses(losses(out), golden["losses"])
        far = compare_states(states(out, len(golden["losses"])), os.path.join(HERE, "golden", name + ".safetensors"))
        return f"states within {far:.1e}"

    def again(self, name):
        """The same bits twice."""
        golden, out = read_json("golden", name + ".json"), os.path.join(self.work, name)
        if not os.path.exists(os.path.join(out, "metrics.jsonl")):
            raise Skipped("its first run failed")
        other = os.path.join(self.work, "again")
        self.train(os.path.join(HERE, "golden", name + ".dpx"), golden["data"], other)
        steps = len(golden["losses"])
        same_file(states(out, steps), states(other, steps), "the states of two runs")

    def continued(self):
        """A checkpoint of the CPU goes on here."""
        name = read_json("continued.json")["golden"]
        golden, out = read_json("golden", name + ".json"), os.path.join(self.work, "continued")
        shutil.copytree(os.path.join(HERE, "continued"), out)
        self.train(os.path.join(HERE, "golden", name + ".dpx"), golden["data"], out, "--resume")
        compare_losses(losses(out), golden["losses"])
        compare_states(states(out, len(golden["losses"])), os.path.join(HERE, "golden", name + ".safetensors"))

    def killed(self):
        """kill -9 in the middle, then --resume: the bits of a run that was let alone."""
        name = self.facts["goldens"][0]
        artifact, data = os.path.join(HERE, "golden", name + ".dpx"), read_json("golden", name + ".json")["data"]
        whole, out = os.path.join(self.work, "whole"), os.path.join(self.work, "killed")
        options = ("--epochs", "12", "--checkpoint-steps", "4")
        self.train(artifact, data, whole, *options)
        total = len(losses(whole))
        process = subprocess.Popen([DOPPEL, "run", artifact, "--data", data, "--out", out, *options],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begin = time.monotonic()
        while not os.path.exists(os.path.join(out, "checkpoints", "step-00000008")) and process.poll() is None:
            if time.monotonic() - begin > min(60, self.left()):
                break
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            raise Wrong(f"the run ended by itself (exit code {process.returncode}) before it was killed")
        if os.path.exists(states(out, total)):
            raise Wrong("the run was over before the signal came")
        self.train(artifact, data, out, *options, "--resume")
        same_file(states(whole, total), states(out, total), "the states of the run that was killed and of the one that was not")
        return f"{total} steps"

    def nan(self):
        """A loss that is not finite: the CPU's words, and good weights."""
        out = os.path.join(self.work, "nan")
        _, said = self.train(os.path.join(HERE, "nan.dpx"), "shapes:40", out, "--checkpoint-steps", "1", wanted=1)
        with open(os.path.join(HERE, "nan.txt")) as file:
            wanted = file.read()
        if re.sub(r"at \S*/", "at ", wanted) not in re.sub(r"at \S*/", "at ", said):
            raise Wrong(f"it says {said.strip()[-300:]!r}, the CPU {wanted!r}")
        for name, values in tensors(states(out, 2)).items():
            if not all(math.isfinite(x) for x in values):
                raise Wrong(f"{name} of the checkpoint before is not finite")

    def no_gpu(self):
        """Without a GPU in sight it ends with a sentence."""
        if not self.isGpu:
            raise Skipped("these artifacts are for the CPU")
        name = self.facts["goldens"][0]
        _, said = self.train(os.path.join(HERE, "golden", name + ".dpx"), "shapes:80", os.path.join(self.work, "none"), wanted=1,
                             env=dict(os.environ, CUDA_VISIBLE_DEVICES=""))
        if "error:" not in said:
            raise Wrong(f"it says {said.strip()[-300:]!r}")
        return said.strip().splitlines()[-1][:100]

    def sanitizer(self):
        if not self.isGpu:
            raise Skipped("these artifacts are for the CPU")
        places = [os.path.join(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin"), "/usr/local/cuda/bin"]
        tool = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path=os.pathsep.join(places))
        if not tool:
            raise Skipped("no compute-sanitizer here")
        name = self.facts["goldens"][0]
        golden = read_json("golden", name + ".json")
        for kind in ("memcheck", "racecheck"):
            done = ended([tool, "--tool", kind, "--error-exitcode", "9", DOPPEL, "run", os.path.join(HERE, "golden", name + ".dpx"), "--data",
                          golden["data"], "--out", os.path.join(self.work, kind), "--steps", "3"], timeout=self.left())
            said = (done.stdout + done.stderr).strip()
            if not re.search(r"^========= (ERROR|RACECHECK) SUMMARY", said, re.M):
                raise Skipped(f"it does not start: {said.splitlines()[-1] if said else done.returncode}")
            if done.returncode:
                raise Wrong(f"{kind} ended with {done.returncode}\n{said[-2000:]}")
        return "memcheck, racecheck: 3 steps"

    def all(self):
        names = self.facts["goldens"]
        self.check("conformance of the device", self.conformance)
        for name in names:
            self.check(f"golden {name}", lambda name=name: self.golden(name))
        self.check(f"two runs of {names[0]}", lambda: self.again(names[0]))
        self.check("kill -9 and --resume", self.killed)
        self.check("a CPU's checkpoint goes on", self.continued)
        self.check("a loss that is not finite", self.nan)
        self.check("no GPU in sight", self.no_gpu)
        self.check("compute-sanitizer", self.sanitizer)


def copy_bandwidth():
    """Bytes a second that the card reads and writes when it copies within its memory, or None where there is no driver."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    size, handle = 1 << 30, ctypes.c_void_p()
    source, target, start, end = (ctypes.c_void_p() for _ in range(4))
    device = ctypes.c_int()

    def call(name, *arguments):
        if (status := getattr(cuda, name)(*arguments)) != 0:
            raise Wrong(f"{name} returned {status}")

    call("cuInit", 0)
    call("cuDeviceGet", ctypes.byref(device), 0)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(handle), device)
    call("cuCtxSetCurrent", handle)
    for memory in (source, target):
        call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(size))
    for event in (start, end):
        call("cuEventCreate", ctypes.byref(event), 0)
    best = 0.0
    for _ in range(5):
        call("cuEventRecord", start, None)
        for _ in range(10):
            call("cuMemcpyDtoDAsync_v2", target, source, ctypes.c_size_t(size), None)
        call("cuEventRecord", end, None)
        call("cuEventSynchronize", end)
        milliseconds = ctypes.c_float()
        call("cuEventElapsedTime", ctypes.byref(milliseconds), start, end)
        best = max(best, 10 * 2 * size / (milliseconds.value / 1e3))
    for memory in (source, target):
        call("cuMemFree_v2", memory)
    call("cuDevicePrimaryCtxRelease_v2", device)
    return best


class Speed(Part):
    def bench(self, name, *more, steps):
        out, _ = run([DOPPEL, "bench", os.path.join(HERE, "speed", name + ".dpx"), "--steps", str(steps), *more], timeout=self.left(5))
        return out

    def profile(self, name, steps):
        """[(seconds a step, symbol, what it computes)] of each instruction of a step."""
        table = re.findall(r"^ *([\d.]+) +[\d.]+ % +(\S+) *(.*)$", self.bench(name, "--profile", steps=steps), re.M)
        return [(float(ms) / 1e3, symbol, computes) for ms, symbol, computes in table]

    def pytorch(self, name, compiled):
        """Median seconds a step, or None with a reason in the log."""
        command = ["python3", os.path.join(HERE, "pytorch_steps.py"), name] + (["--compile"] if compiled else [])
        try:
            out, _ = run(command, timeout=min(120, self.left(5)))
            return json.loads(out.splitlines()[-1])["median_seconds"]
        except (Wrong, Skipped, ValueError, IndexError, KeyError) as reason:
            print(f"  PyTorch has no figure for {name}{' compiled' if compiled else ''}: {str(reason).strip().splitlines()[-1:]}", flush=True)
            return None

    def row(self, what, ours, theirs="-", ratio="-", wanted=""):
        self.rows.append({"work": what, "pytorch": theirs, "doppel": ours, "ratio": ratio, "wanted": wanted})
        print(f"  {what}: {ours} (PyTorch {theirs})", flush=True)

    def attempt(self, what, function):
        try:
            function()
        except (Skipped, Wrong, ValueError) as reason:
            print(f"  {what}: {reason}", flush=True)
            self.row(what, "-", wanted=str(reason).splitlines()[0][:60])

    def step(self, name):
        ours = json.loads(self.bench(name, "--json", steps=20))["median_seconds"]
        for compiled in (False, True):
            theirs = self.pytorch(name, compiled)
            self.row(f"{name}, a step" if not compiled else "  beside torch.compile", f"{ours * 1e3:.2f} ms",
                     "-" if theirs is None else f"{theirs * 1e3:.2f} ms", "-" if theirs is None else f"{theirs / ours:.2f}x",
                     "aim 1.2x" if compiled else "1.0x")

    def kernels(self, name, bandwidth):
        """What a profile tells of a step: its views, gaps between kernels, and the bandwidth of sweep and batch norm."""
        facts = read_json("speed", name + ".json")
        median = json.loads(self.bench(name, "--json", steps=20))["median_seconds"]
        rows = self.profile(name, 20)
        views = sum(seconds for seconds, symbol, _ in rows if symbol.startswith("augment"))
        self.row(f"{name}, views within a step", f"{views / median * 100:.1f} %", wanted="3 %")
        gaps = max(0.0, 1 - sum(seconds for seconds, _, _ in rows) / median)
        self.row(f"{name}, gaps between launches", f"{gaps * 100:.1f} %", wanted="3 %")
        for what, wanted, chosen in (
                ("optimizer and average", "75 %", [r for r in rows if r[1] == facts["sweep"]]),
                ("batch norm", "80 %", [r for r in rows if "batch_norm" in r[2] and r[1] in facts["bytes"]])):
            seconds, moved = sum(r[0] for r in chosen), sum(facts["bytes"][r[1]] for r in chosen)
            if not seconds:
                raise Wrong(f"{name}: the profile has nothing of {what}")
            rate = moved / seconds
            self.row(f"{name}, {what}", f"{rate / 1e9:,.0f} GB/s", ratio="-" if not bandwidth else f"{rate / bandwidth * 100:.0f} %",
                     wanted=f"{wanted} of a copy")

    def views(self, name):
        """Of pictures as large as those that one crops 224 px from; one batch is made of 64 of them."""
        figures = json.loads(self.bench(name, "--views", "--json", "--data", "shapes:64,size=256", steps=20))
        self.row(f"{name}, views from 256 px", f"{figures['views_per_second']:,.0f} views/s", wanted="500,000, aim 1 M")

    def all(self):
        bandwidth = None
        try:
            bandwidth = copy_bandwidth()
        except Wrong as reason:
            print(f"  {reason}", flush=True)
        self.row("copy within the card's memory", "-" if bandwidth is None else f"{bandwidth / 1e9:,.0f} GB/s")
        works = self.facts["works"]
        steps = [name for name in works if name != "moco_v2_resnet50"]
        for name in steps:
            self.attempt(f"{name}, a step", lambda name=name: self.step(name))
        for name in ("simclr_resnet50", "moco_v2_resnet50"):
            if name in works:
                self.attempt(f"{name}, kernels", lambda name=name: self.kernels(name, bandwidth))
        if "simclr_resnet50" in works:
            self.attempt("views", lambda: self.views("simclr_resnet50"))


def machine():
    """Card, driver, and what else decides a figure."""
    facts = {"host": os.uname().machine, "kernel": os.uname().release, "card": "-", "driver": "-", "pytorch": "-"}
    try:
        out = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"], capture_output=True,
                             text=True, timeout=30).stdout.strip().splitlines()
        if out:
            facts["card"], facts["driver"], facts["memory"] = (part.strip() for part in out[0].split(","))
    except (OSError, subprocess.TimeoutExpired, ValueError):
        pass
    try:
        code = "import torch; print(torch.__version__, torch.backends.cudnn.version())"
        facts["pytorch"] = subprocess.run(["python3", "-c", code], capture_output=True, text=True, timeout=60).stdout.strip() or "-"
    except (OSError, subprocess.TimeoutExpired):
        pass
    return facts


def one_step(facts):
    """Wrong where this machine cannot take a step at all: one message then, not one a row."""
    run([DOPPEL, "bench", os.path.join(HERE, "golden", facts["goldens"][0] + ".dpx"), "--steps", "1", "--warmup", "0"])


def print_table(rows):
    columns = list(rows[0])
    cells = [columns] + [[str(row[column]) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def main():
    parser = argparse.ArgumentParser(prog="run.sh ARCHIVE")
    parser.add_argument("--part", choices=["correct", "speed"], action="append", help="only this one (default: both)")
    parser.add_argument("--json", help="file to write all rows to")
    options = parser.parse_args()
    facts, begin = read_json("archive.json"), time.monotonic()
    result = {"archive": facts, "machine": machine(), "parts": {}}
    print(f"{facts['version']}, artifacts for {facts['target']}; {result['machine']['card']}, driver {result['machine']['driver']}", flush=True)
    try:
        one_step(facts)
    except Wrong as reason:
        result["error"] = str(reason)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="doppel-gpu-work-") as work:
        for part in () if "error" in result else options.part or ("correct", "speed"):
            print(f"\n{part}", flush=True)
            started = time.monotonic()
            deadline = started + SECONDS[part]
            tried = Correct(work, facts, deadline) if part == "correct" else Speed(facts, deadline)
            tried.all()
            result["parts"][part] = {"rows": tried.rows, "seconds": round(time.monotonic() - started, 1), "limit": SECONDS[part]}
            wrong += sum(row.get("result") == "FAILED" for row in tried.rows)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(result, file, indent=1)
    if "error" in result:
        print(f"\nnothing was tried: a step does not run here\n{result['error'].strip()}")
        return 1
    for part, tried in result["parts"].items():
        print(f"\n{part}: {tried['seconds']} s of at most {tried['limit']} s")
        print_table(tried["rows"])
    print(f"\n{wrong} wrong, {sum(row.get('result') == 'skipped' for t in result['parts'].values() for row in t['rows'])} skipped, "
          f"{time.monotonic() - begin:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
