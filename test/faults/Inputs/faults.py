# Makes the calls of `doppel run` fail one after another, and checks what each failure leaves: the result, or a message and what was
# there before. Then the run is resumed without failures, and must come to the states of a run that nothing happened to, bit for bit.
#
#   faults.py --library FILE --artifact FILE --work FOLDER [--every N] [--from N] [--at N] [--only CALL] SCENARIO:KIND...
#
# SCENARIO: `fresh` (an empty folder), `resume` (half a run, gone on with), `overwrite` (another run, replaced).
# KIND: `broken` (each call on files fails once: EIO), `full` (from some call on nothing can be written: ENOSPC), `killed` (the process
# ends in place of a call on files), `memory` (the first allocation of each call stack fails), `starved` (and all after it). Of the numbers
# of calls every N-th is tried, from the first on.
import argparse
import collections
import json
import os
import shutil
import signal
import subprocess
import sys

KINDS = {
    "broken": {"DOPPEL_FAULT_CALLS": "files", "DOPPEL_FAULT_ERRNO": "5"},
    "full": {"DOPPEL_FAULT_CALLS": "files", "DOPPEL_FAULT_ERRNO": "28", "DOPPEL_FAULT_LASTING": "1"},
    "killed": {"DOPPEL_FAULT_CALLS": "files", "DOPPEL_FAULT_KILL": "1"},
    "memory": {"DOPPEL_FAULT_CALLS": "memory"},
    "starved": {"DOPPEL_FAULT_CALLS": "memory", "DOPPEL_FAULT_LASTING": "1"},
}
MODES = {"fresh": [], "resume": ["--resume"], "overwrite": ["--overwrite"]}
STEPS = 6  # of 12 images in batches of 4, two epochs
SECONDS = 120
OLD_SEED = 9  # of the run that `overwrite` replaces
KILLED = -signal.SIGKILL

Outcome = collections.namedtuple("Outcome", "code text log")


class Trial:
    """The runs of one work folder."""

    def __init__(self, options):
        self.options = options
        self.folder = os.path.join(options.work, "run")

    def run(self, mode=(), fault=None, more=()):
        """Runs `doppel run` into self.folder; `fault` is what the environment says of the failure."""
        log = os.path.join(self.options.work, "log")
        if os.path.exists(log):
            os.remove(log)
        environment = dict(os.environ)
        if fault is not None:
            environment.update(fault, DOPPEL_FAULT_LOG=log, LD_PRELOAD=self.options.library)
        command = ["doppel", "run", self.options.artifact, "--data", "shapes:12", "--out", self.folder, "--threads", "1",
                   "--checkpoint-steps", "2", *mode, *more]
        try:
            ended = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return Outcome("a hang", "", [])
        lines = open(log).read().splitlines() if os.path.exists(log) else []
        return Outcome(ended.returncode, (ended.stdout + ended.stderr).decode(errors="replace"), lines)

    def states(self, step=STEPS):
        path = os.path.join(self.folder, "checkpoints", f"step-{step:08}", "states.safetensors")
        with open(path, "rb") as file:
            return file.read()

    def seed(self):
        return json.load(open(os.path.join(self.folder, "run.json")))["seed"]

    def checkpoints(self):
        """The steps of the checkpoints that have a name of their own."""
        folder = os.path.join(self.folder, "checkpoints")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return {int(name[5:]) for name in names if name.startswith("step-")}

    def prepare(self, scenario):
        shutil.rmtree(self.folder, ignore_errors=True)
        source = os.path.join(self.options.work, scenario)
        if os.path.isdir(source):
            shutil.copytree(source, self.folder)

    def keep(self, scenario):
        shutil.rmtree(os.path.join(self.options.work, scenario), ignore_errors=True)
        shutil.move(self.folder, os.path.join(self.options.work, scenario))


def leftover(folder):
    """Files that a write left under their temporary names."""
    return [name for _, folders, files in os.walk(folder) for name in folders + files if name.startswith(".tmp-")]


def judge(trial, scenario, kind, outcome, right, old):
    """What is wrong with what a failure left; None if nothing. Resumes the run on the way."""
    text = outcome.text
    if outcome.code not in ((0, KILLED) if kind == "killed" else (0, 1)):
        return f"ended with {outcome.code}: {text[-400:]}"
    # OpenMP's library says it by itself when it has no memory for its threads.
    if outcome.code == 1 and "error: " not in text and "libgomp: Out of memory" not in text:
        return f"ended with 1 and no message: {text[-400:]}"
    if outcome.code == 0 and (STEPS not in trial.checkpoints() or trial.states() != right):
        return "ended with 0, but the result is not there"

    if scenario == "resume" and "starts again" in text:
        return f"began again, though there was a checkpoint: {text[-400:]}"

    # A checkpoint that has got its name is there until two newer ones are.
    renamed = [int(line.rsplit("step-", 1)[1]) for line in outcome.log if line.startswith("0 renamed") and "/step-" in line]
    newest = max(renamed, default={"fresh": 0, "resume": 4, "overwrite": 0}[scenario])
    if newest and newest not in trial.checkpoints():
        return f"the checkpoint of step {newest} is gone: {sorted(trial.checkpoints())}"

    # A rename that fails on the way is undone at once.
    if scenario == "overwrite" and kind == "broken" and not os.path.exists(os.path.join(trial.folder, "run.json")):
        return "there is neither the old run nor the new one"
    resumed = trial.run(["--resume"])
    if resumed.code == 1 and "holds no run to resume" in resumed.text and not newest and scenario == "fresh":
        resumed = trial.run()  # nothing was begun, and nothing stands in the way
    if resumed.code != 0:
        return f"cannot be resumed: {resumed.text[-400:]}"
    if newest and "starts again" in resumed.text:
        return f"began again, though there was a checkpoint of step {newest}"
    if STEPS not in trial.checkpoints():
        return f"the resumed run has no end: {sorted(trial.checkpoints())}"
    # Until the new run has taken its place, the old one is there, whole.
    replaced = scenario != "overwrite" or trial.seed() != OLD_SEED
    if not replaced and (outcome.code == 0 or "starts again" in resumed.text):
        return f"the old run is not whole: {resumed.text[-400:]}"
    if trial.states() != (right if replaced else old):
        return "the resumed run has other states than one that nothing happened to"
    if leftover(trial.folder):
        return f"the resumed run leaves {leftover(trial.folder)}"
    steps = [json.loads(line)["step"] for line in open(os.path.join(trial.folder, "metrics.jsonl"))]
    # What cannot be logged is no reason to end a run, but is told.
    told = "metrics from step" in text and steps == sorted(set(steps))
    if steps != list(range(STEPS)) and not told:
        return f"the resumed run has metrics of the steps {steps}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", required=True)
    parser.add_argument("--artifact", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--at", type=int, help="try this number alone, and show what was said")
    parser.add_argument("--only", help="of the calls on files those of this name")
    parser.add_argument("what", nargs="+")
    options = parser.parse_args()
    options.library = os.path.abspath(options.library)
    os.makedirs(options.work, exist_ok=True)
    trial = Trial(options)

    # The run that nothing happens to; half of it; and another one to be replaced.
    trial.prepare("none")
    whole = trial.run()
    if whole.code != 0:
        sys.exit(f"the run fails by itself: {whole.text}")
    right = trial.states()
    trial.prepare("none")
    trial.run(more=["--steps", "4"])
    trial.keep("resume")
    trial.run(more=["--seed", str(OLD_SEED)])
    old = trial.states()
    trial.keep("overwrite")
    if old == right:
        sys.exit("another seed gives the same states")

    failures, tried, messages = 0, 0, 0
    for what in options.what:
        scenario, kind = what.split(":")
        trial.prepare(scenario)
        counted = trial.run(MODES[scenario], KINDS[kind])
        if counted.code != 0 or trial.states() != right:
            sys.exit(f"{what}: the run fails without a failure: {counted.text}")
        calls = [line.split(" ", 2) for line in counted.log if not line.startswith("0 ")]
        numbers = [options.at] if options.at else range(options.first, len(calls) + 1, options.every)
        if options.only:
            numbers = [number for number in numbers if calls[number - 1][1] == options.only]
        for number in numbers:
            trial.prepare(scenario)
            outcome = trial.run(MODES[scenario], dict(KINDS[kind], DOPPEL_FAULT_AT=str(number)))
            tried += 1
            messages += outcome.code == 1
            if options.at:
                print(outcome.code, outcome.text)
            wrong = judge(trial, scenario, kind, outcome, right, old)
            if wrong:
                failures += 1
                name = " ".join(calls[number - 1][1:])
                print(f"{what} {number} ({name}): {wrong}", flush=True)
        print(f"{what}: {len(numbers)} of {len(calls)} calls failed", flush=True)
    print(f"{tried} failures, of which {messages} ended the run with a message; {failures} left something wrong")
    # Without memory nothing goes on; without one call on a file most runs do.
    if messages == 0 or (messages == tried and any(what.endswith((":broken", ":full")) for what in options.what)):
        sys.exit("the failures do not reach the run, or nothing survives them")
    sys.exit(failures != 0)


main()
