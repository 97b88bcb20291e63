# Two processes begin to train two methods into one folder at the same time, N times: half of them into a new folder, half with
# --overwrite over a run. Exactly one trains; the other says why not; the folder is the first one's, whole.
#
#   race.py WORK N NAME SPEC OTHERNAME OTHERSPEC [ARGUMENT...]
import json
import os
import shutil
import subprocess
import sys

work, tries, first, firstSpec, second, secondSpec, *arguments = sys.argv[1:]
specs = {first: firstSpec, second: secondSpec}
STEPS = 20


def train(method, folder, *more):
    command = ["doppel", "train", specs[method], "--data", "shapes:160", "--threads", "1", "--out", folder, *arguments, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def judge(folder, code, text, overwrite):
    """What is wrong with the end of a race; None if nothing."""
    winners = [method for method in specs if code[method] == 0]
    if len(winners) != 1:
        return f"{len(winners)} won"
    winner = winners[0]
    loser = second if winner == first else first
    errors = [line for line in text[loser].splitlines() if "error: " in line]
    reasons = ["another process is running in"] + ([] if overwrite else ["already holds a run"])
    if code[loser] != 1 or len(errors) != 1 or not any(reason in errors[0] for reason in reasons):
        return f"the other ended with {code[loser]}"
    method = json.load(open(os.path.join(folder, "run.json")))["method"]
    if method != winner:
        return f"run.json is of {method}, and {winner} won"
    if any(name.startswith(".tmp-") for name in os.listdir(folder)):
        return "something is left over"
    steps = [json.loads(line)["step"] for line in open(os.path.join(folder, "metrics.jsonl"))]
    if steps != list(range(STEPS)):
        return f"the metrics are of the steps {steps}"
    # Loads the artifact and the newest checkpoint together.
    evaluated = subprocess.run(["doppel", "eval", folder, "--data", "shapes:160,test=40", "--threads", "1"], capture_output=True, text=True)
    return None if evaluated.returncode == 0 else evaluated.stderr


wrong = 0
for number in range(int(tries)):
    folder = os.path.join(work, str(number))
    shutil.rmtree(folder, ignore_errors=True)
    overwrite = number >= int(tries) // 2
    if overwrite and train(first, folder, "--steps", "2", "--seed", "5").wait() != 0:
        sys.exit("the run to be replaced fails")
    names = [first, second] if number % 2 else [second, first]
    processes = {method: train(method, folder, *(["--overwrite"] if overwrite else [])) for method in names}
    text = {method: process.communicate()[0] for method, process in processes.items()}
    reason = judge(folder, {method: process.returncode for method, process in processes.items()}, text, overwrite)
    if reason:
        wrong += 1
        print(f"{number}: {reason}", *text.values(), sep="\n")
print(f"{tries} races, {wrong} ended wrong")
