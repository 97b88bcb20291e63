"""kill_after.py STEPS METRICS COMMAND...: starts a training run and kills it (SIGKILL) once METRICS has STEPS lines."""
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
    steps, metrics, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    process = subprocess.Popen(command)
    while lines(metrics) < steps:
        if process.poll() is not None:
            sys.exit(f"the run ended by itself (exit code {process.returncode}) before step {steps}")
        time.sleep(0.001)
    process.kill()
    process.wait()
    if lines(metrics) >= 20:
        sys.exit("the run was over before it could be killed")


main()
