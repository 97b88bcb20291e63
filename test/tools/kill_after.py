"""kill_after.py [--signal NAME | --remove FOLDER] STEPS METRICS COMMAND...: starts a training run and sends it a signal (KILL), or removes a
folder, once METRICS has STEPS lines. Prints the exit code: -9 where that signal ended it."""
import argparse
import shutil
import signal
import subprocess
import sys
import time


def lines(path):
    try:
        with open(path) as file:
            return sum(1 for _ in file)
    except FileNotFoundError:
        return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--signal", default="KILL")
    parser.add_argument("--remove")
    parser.add_argument("steps", type=int)
    parser.add_argument("metrics")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    process = subprocess.Popen(arguments.command)
    while lines(arguments.metrics) < arguments.steps:
        if process.poll() is not None:
            sys.exit(f"the run ended by itself (exit code {process.returncode}) before step {arguments.steps}")
        time.sleep(0.001)
    if arguments.remove:
        shutil.rmtree(arguments.remove)
    else:
        process.send_signal(getattr(signal, "SIG" + arguments.signal))
    print(f"exit code {process.wait()}")
    if lines(arguments.metrics) >= 20:
        sys.exit("the run was over before the signal came")


main()
