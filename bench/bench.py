# Doppel beside PyTorch, on this machine, in one run. Called by `./do bench [PART...]`.
#
#   step     a training step of SimCLR without reading data: ResNet-18, CIFAR stem, 256 views; and its peak memory
#   views    views of 32x32 images a second against torchvision's transforms on PIL images, both on all cores
#   compile  `doppel compile` of SimCLR with ResNet-18
#   recipe   SimCLR on CIFAR-10 for some epochs: seconds an epoch and kNN (needs --data)
#   methods  every method of examples/ on shapes, with --data on a part of CIFAR-10 too (methods.py; more than an hour)
#
# The two sides take turns, so that what else the machine does meets both; each figure is the median over the turns. Without PyTorch ours
# are measured alone.
import argparse
import glob
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import methods

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SPEC = os.path.join(ROOT, "examples", "simclr.dpl")
NETWORK = ["size=32", "backbone=resnet18", "stem=cifar", "zero_init=false", "head_norm=false", "dim=128", "optimizer=sgd",
           "lr=0.12", "weight_decay=5e-4", "warmup_epochs=0", "warmup_steps=100", "temperature=0.2", "views=cifar"]


def fail(message):
    print(f"bench: {message}", file=sys.stderr)
    sys.exit(1)


def run(command, **options):
    """Runs to the end and returns (standard output, greatest resident memory in MiB)."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, text=True, **options)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            fail(f"{' '.join(command)}\nended with status {process.returncode}\n{errors.read()[-2000:]}")
        return out.read(), usage.ru_maxrss / 1024


def find_torch():
    """The Python that has PyTorch and torchvision, or None."""
    for python in (os.environ.get("DOPPEL_PYTHON"), "/usr/bin/python3", "python3"):
        if python and subprocess.run([python, "-c", "import torch, torchvision"], capture_output=True).returncode == 0:
            return python
    return None


def note(text):
    print(f"  {text}", flush=True)


def print_table(rows):
    """Columns of figures to the right, the first and a last one of words to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print()
    for row in rows:
        cells = [cell.rjust(width) if i and not (i == 4 and len(row) == 5) else cell.ljust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip(), flush=True)


class Bench:
    def __init__(self, options):
        self.options = options
        self.torch = find_torch()
        self.doppel = os.path.join(options.bin, "doppel")
        self.rows = []
        self.folder = tempfile.mkdtemp(prefix="doppel-bench-")

    def pytorch(self, *arguments):
        """The last line of JSON of pytorch_simclr.py, and its memory in MiB."""
        out, memory = run([self.torch, os.path.join(HERE, "pytorch_simclr.py"), *arguments])
        return json.loads(out.splitlines()[-1]), memory

    def compile(self, name, sets, spec=SPEC):
        """Path of the artifact and the seconds it took."""
        path = os.path.join(self.folder, name + ".dpx")
        begin = time.perf_counter()
        run([self.doppel, "compile", spec, "-o", path, *(word for s in sets for word in ("--set", s))])
        return path, time.perf_counter() - begin

    def row(self, what, theirs, ours, unit, wanted, better):
        """better: "high" or "low"; the ratio is above 1 where ours is better."""
        ratio = None
        if theirs is not None:
            ratio = ours / theirs if better == "high" else theirs / ours

        def text(value):
            return "-" if value is None else f"{value:,.0f} {unit}" if value >= 100 else f"{value:,.2f} {unit}"

        self.rows.append([what, text(theirs), text(ours), "-" if ratio is None else f"{ratio:.2f}x", wanted])

    def step(self):
        for width in self.options.width:
            note(f"training step, width {width}")
            artifact, _ = self.compile(f"step{width}", NETWORK + ["batch=128", f"width={width}", f"hidden={8 * width}"])
            theirs, ours, their_memory, our_memory = [], [], [], []
            count = 3
            for turn in range(self.options.turns):
                if self.torch:
                    result, memory = self.pytorch("step", "--width", str(width), "--views", "256", "--seconds",
                                                  str(self.options.seconds), "--threads", str(self.options.threads))
                    theirs.append(statistics.median(result["seconds"]))
                    their_memory.append(memory)
                out, memory = run([self.doppel, "bench", artifact, "--json", "--steps", str(count), "--threads",
                                   str(self.options.threads)])
                ours.append(json.loads(out)["median_seconds"])
                our_memory.append(memory)
                count = max(3, int(self.options.seconds / ours[-1]))
                note(f"turn {turn + 1}: {'' if not theirs else f'PyTorch {theirs[-1] * 1e3:.1f} ms, '}Doppel {ours[-1] * 1e3:.1f} ms")
            self.row(f"step, width {width}, 256 views", 256 / statistics.median(theirs) if theirs else None,
                     256 / statistics.median(ours), "views/s", "1.0x, aim 1.3x", "high")
            self.row(f"  its peak memory", statistics.median(their_memory) if theirs else None, statistics.median(our_memory), "MiB",
                     "1.0x", "low")

    def views(self):
        note("views")
        artifact, _ = self.compile("views", NETWORK + ["batch=256", "width=16", "hidden=128"])
        theirs, ours = [], []
        for turn in range(self.options.turns):
            if self.torch:
                result, _ = self.pytorch("views", "--seconds", str(self.options.seconds / 2), "--processes",
                                         str(self.options.threads))
                theirs.append(result["views_per_second"])
            out, _ = run([self.doppel, "bench", artifact, "--views", "--json", "--steps", "50", "--threads",
                          str(self.options.threads)])
            ours.append(json.loads(out)["views_per_second"])
        self.row("views of 32x32 images", statistics.median(theirs) if theirs else None, statistics.median(ours), "views/s", "10x",
                 "high")

    def compile_time(self):
        note("compile")
        seconds = [self.compile("compile", NETWORK + ["batch=256", "width=64", "hidden=512"])[1] for _ in range(self.options.turns)]
        self.row("compile SimCLR, ResNet-18", None, statistics.median(seconds), "s", "at most 5 s", "low")
        for spec in sorted(glob.glob(os.path.join(os.path.dirname(SPEC), "*.dpl"))):
            name = os.path.basename(spec)
            note(f"compile {name}")
            seconds = [self.compile("compile", [], spec)[1] for _ in range(self.options.turns)]
            self.row(f"compile {name} as it stands", None, statistics.median(seconds), "s",
                     "at most 20 s" if name == "dino.dpl" else "at most 5 s", "low")

    def recipe(self):
        data, epochs = self.options.data, self.options.epochs
        if not data:
            fail("recipe needs CIFAR-10 as train/CLASS/*.jpg and test/CLASS/*.jpg: --data DIR or DOPPEL_CIFAR10")
        theirs = []
        if self.torch:
            note(f"recipe, PyTorch, {epochs} epochs")
            out, memory = run([self.torch, os.path.join(HERE, "pytorch_simclr.py"), "train", "--data", data, "--epochs", str(epochs),
                               "--threads", str(self.options.threads)])
            theirs = [json.loads(line) for line in out.splitlines()]
        note(f"recipe, Doppel, {epochs} epochs")
        folder = os.path.join(self.folder, "recipe")
        sets = NETWORK + ["batch=256", "width=16", "hidden=128", f"epochs={epochs}"]
        out, our_memory = run([self.doppel, "train", SPEC, "--data", data, "--out", folder, "--threads", str(self.options.threads),
                               *(word for s in sets for word in ("--set", s))])
        rate = float(re.search(r"\(([\d,.]+) images/s\)", out).group(1).replace(",", ""))
        with open(os.path.join(folder, "metrics.jsonl")) as file:
            losses = [json.loads(line)["loss"] for line in file]
        steps = len(losses) // epochs
        score = json.loads(run([self.doppel, "eval", folder, "--data", data, "--raw", "--json"])[0])
        fresh = json.loads(run([self.doppel, "eval", folder, "--data", data, "--untrained", "--json"])[0])
        trained = theirs[1:]

        def percent(what, theirs, ours, wanted):
            self.rows.append([what, "-" if theirs is None else f"{theirs * 100:.1f} %", f"{ours * 100:.1f} %",
                              "-" if theirs is None else f"{(ours - theirs) * 100:+.1f}", wanted])

        self.row("recipe, an epoch", statistics.median(e["seconds"] for e in trained) if trained else None, steps * 256 / rate, "s",
                 "1.0x", "low")
        self.row("  its peak memory", memory if trained else None, our_memory, "MiB", "1.0x", "low")
        self.row("  mean loss, last epoch", trained[-1]["loss"] if trained else None, statistics.mean(losses[-steps:]), "", "", "low")
        percent("  kNN, raw pixels", theirs[0]["knn_pixels"] if theirs else None, score["raw_pixels"], "")
        percent("  kNN, untrained", theirs[0]["knn"] if theirs else None, fresh["knn"], "")
        percent(f"  kNN after epoch {epochs}", trained[-1]["knn"] if trained else None, score["knn"], "within 1.5")

    def methods(self):
        print_table(methods.methods(self, run, note, fail))

    def table(self):
        if self.rows:
            print_table([["", "PyTorch", "Doppel", "ratio", "wanted"]] + self.rows)


def main():
    parser = argparse.ArgumentParser(prog="./do bench", description="Doppel beside PyTorch, on this machine, in one run.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="step, views, compile, recipe, methods (default: the first three)")
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"), help=argparse.SUPPRESS)
    parser.add_argument("--width", type=int, nargs="+", default=[16, 64], help="of the network in `step`")
    parser.add_argument("--turns", type=int, default=3, help="of each side")
    parser.add_argument("--seconds", type=float, default=8, help="a turn")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--data", default=os.environ.get("DOPPEL_CIFAR10"), help="CIFAR-10, for `recipe`")
    parser.add_argument("--epochs", type=int, default=6, help="of `recipe`")
    parser.add_argument("--method", nargs="+", help="of `methods`: these alone")
    options = parser.parse_args()
    parts = {"step": Bench.step, "views": Bench.views, "compile": Bench.compile_time, "recipe": Bench.recipe,
             "methods": Bench.methods}
    for part in options.parts:
        if part not in parts:
            parser.error(f"no part '{part}' ({', '.join(parts)})")
    bench = Bench(options)
    if not bench.torch:
        print("PyTorch and torchvision are not installed (apt-get install python3-torch python3-torchvision libopenblas0): Doppel alone.")
    for part in options.parts or ["step", "views", "compile"]:
        parts[part](bench)
    bench.table()


main()
