# gpu.py FOLDER DRIVER: `doppel` with artifacts for a GPU, on the stand-ins for NVIDIA's libraries in the folder DRIVER, which compute what the
# artifacts for cuda-sim do (test/unit/cuda/RecordingDriver.cpp). FOLDER holds tiny.{gpu,sim,cpu}.dpx and nan.{gpu,sim,cpu}.dpx; runs are made
# in it. The tables of what may be wrong stand below; a case that is not as it should be is printed, and the exit code is 1.
import filecmp
import glob
import json
import os
import re
import shutil
import subprocess
import sys

FOLDER, DRIVER = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
BIN = os.path.dirname(shutil.which("doppel"))
DATA = "shapes:160"
failed = []


def expect(what, holds, said=""):
    if not holds:
        failed.append(what)
        print(f"NOT SO: {what}\n{said}")


def doppel(*words, settings="", method="tiny", hidden=None, driver=DRIVER, **variables):
    """Exit code and what was printed. `settings`: of the stand-in; `hidden`: a word, files with which in their path are not there."""
    environment = dict(os.environ, LD_LIBRARY_PATH=driver, DOPPEL_STAND_IN=f"simulate={FOLDER}/{method}.sim.dpx {settings}", **variables)
    if hidden:
        environment |= {"LD_PRELOAD": os.path.join(BIN, "doppel-hidden.so"), "DOPPEL_HIDDEN": hidden}
    ran = subprocess.run(["doppel", *words], cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=300)
    return ran.returncode, ran.stdout + ran.stderr


def run(out, *words, artifact="tiny.gpu.dpx", data=DATA, resume=False, **how):
    if not resume:
        shutil.rmtree(os.path.join(FOLDER, out), ignore_errors=True)
    return doppel("run", artifact, "--data", data, "--out", out, *(["--resume"] if resume else []), *words, **how)


def checkpoint(out, step):
    return os.path.join(FOLDER, out, "checkpoints", f"step-{step:08}", "states.safetensors")


def losses(out):
    with open(os.path.join(FOLDER, out, "metrics.jsonl"), encoding="utf-8") as file:
        return [json.loads(line)["loss"] for line in file]


def calls(log):
    with open(os.path.join(FOLDER, log), encoding="utf-8") as file:
        return file.read().splitlines()


NO_DRIVER = "to run on this machine's processor, compile the spec with --target cpu"

# A target that is misspelt, or that no GPU has: exit code 2.
HAVE = "is no architecture that code can be made for; there are sm_80, sm_86, .*"
TARGETS = [
    ("cuda:sm_12", f"'sm_12' in 'cuda:sm_12' {HAVE}; did you mean sm_120"),
    ("cuda:sm90", f"'sm90' in 'cuda:sm90' {HAVE}; did you mean sm_90"),
    ("cuda:sm_75", f"'sm_75' in 'cuda:sm_75' {HAVE}"),
    ("cuda:sm_90,", f"'' in 'cuda:sm_90,' {HAVE}"),
    ("cuda:", "'cuda:' names no architecture; cuda alone is cuda:sm_80,sm_90"),
    ("cudaa", "'cudaa' is no target; targets are cpu, .*; did you mean cuda"),
    ("cuda-sim:chek", "'cuda-sim:chek' is no target; .*; did you mean cuda-sim:check"),
]

# What is wrong, how it is made, and the message, before a step is taken: exit code 1, and no run is begun.
BEFORE = [
    ("no driver", dict(hidden="libcuda.so"), rf"NVIDIA's driver is not here: looked for libcuda.so.1 in the system's library path, .*; {NO_DRIVER}"),
    ("a driver that is too old", dict(settings="version=11080"), r"is of CUDA 11.8, 12.0 is needed: update it to 525.60 or later; to run on"),
    ("a driver without a GPU", dict(settings="init=100"), rf"NVIDIA's driver does not start: CUDA_ERROR_NO_DEVICE .*; {NO_DRIVER}"),
    ("no GPU is visible", dict(settings="devices=0"), rf"NVIDIA's driver finds no GPU; {NO_DRIVER}"),
    ("a driver that is no library", dict(driver="broken"), r"NVIDIA's driver cannot be opened: "),
    ("no cuDNN", dict(hidden="libcudnn"), r"cuDNN 9 is not here: looked for libcudnn.so.9 in .*; `pip install nvidia-cudnn-cu13` brings it"),
    ("cuDNN of another major version", dict(DOPPEL_STAND_IN_CUDNN="100000"), r"libcudnn.so.9 is cuDNN 10, version 9 is needed"),
    ("cuDNN of an earlier one", dict(DOPPEL_STAND_IN_CUDNN="8907"), r"libcudnn.so.9 is cuDNN 8, version 9 is needed"),
    ("cuDNN that fails", dict(settings="fault=cudnnBackendExecute:0:700"), r"function 'step': cuDNN does not run a convolution: "),
    ("no cuBLASLt", dict(hidden="libcublasLt"), r"cuBLASLt is not here: looked for libcublasLt.so.13 or libcublasLt.so.12 in .*; `pip install nvidia-cublas` brings it"),
    ("cuBLASLt that fails", dict(settings="fault=cublasLtMatmul:0:700"), r"cuBLASLt does not run the product "),
    ("a GPU older than the code", dict(settings="sm=80"), r"Recorded GPU 0 is an sm_80, and the artifact has .*PTX for sm_90.*: compile the spec with --target cuda:sm_80"),
    ("a driver that does not take the PTX", dict(settings="sm=100 ptx=0"), r"NVIDIA's driver of CUDA 12.4 does not load the artifact's PTX"),
    ("states and a step that the GPU has not", dict(settings="memory=2"), r"the program needs \d+ MiB of memory \(states 1, a step \d\), and Recorded GPU 0 has 2 MiB: 1 MiB are missing, for a step; compile"),
    ("states that others leave no room for", dict(settings="memory=8000 held=8000"), r"of the 8000 MiB of Recorded GPU 0 others and the driver hold 8000: \d MiB are missing, for states; end what holds them \(`nvidia-smi`"),
    ("no room to try a plan", dict(settings="memory=8000 held=7960"), r"to try a library's plan: not enough memory on Recorded GPU 0: 64 MiB wanted, \d+ of 8000 MiB are free, \d+ are this run's; end"),
    ("workspaces that do not fit", dict(settings="memory=8000 held=7934"), r"the program needs \d+ MiB of memory \(states 1, a step \d, libraries 64\), .* hold 7934: 1 MiB are missing, for libraries"),
    ("pictures that do not fit", dict(settings="memory=80", data="shapes:16,size=512"), r"no room for 2 batches of pictures of 14 MiB: not enough memory on Recorded GPU 0: 2[78] MiB wanted"),
]


def targets():
    for target, message in TARGETS:
        code, said = doppel("compile", "nan.dpl", "--target", target, "-o", "none.dpx")
        expect(f"--target {target}: exit code 2 (is {code})", code == 2, said)
        expect(f"--target {target}: {message}", re.search(message, said), said)
        expect(f"--target {target}: no artifact", not os.path.exists(os.path.join(FOLDER, "none.dpx")))


def before():
    os.makedirs(os.path.join(FOLDER, "broken"), exist_ok=True)
    with open(os.path.join(FOLDER, "broken", "libcuda.so.1"), "w", encoding="utf-8") as file:
        file.write("text")
    for what, how, message in BEFORE:
        code, said = run("never", **how)
        expect(f"{what}: exit code 1 (is {code})", code == 1, said)
        expect(f"{what}: {message}", re.search(f"^doppel: error: .*{message}", said, re.M), said)
        expect(f"{what}: no run is begun", not os.path.exists(os.path.join(FOLDER, "never")), said)
    for command in (["preview", "tiny.gpu.dpx", "-o", "never.png"], ["bench", "tiny.gpu.dpx"], ["eval", "tiny.gpu.dpx", "--untrained", "--data", DATA]):
        code, said = doppel(*command, hidden="libcuda.so")
        expect(f"no driver, {command[0]}", code == 1 and "NVIDIA's driver is not here: looked for libcuda.so.1" in said, said)


# What ends a run of four steps in the middle, after the checkpoint of step 2: exit code 1.
MIDDLE = [
    ("a GPU that is lost as a step is submitted", "tiny", "fault=cuGraphLaunch:4:719",
     r"step 3: the GPU is lost to this process, cannot run a graph: CUDA_ERROR_LAUNCH_FAILED \(unspecified launch failure\); go on from \S*step-00000002 with --resume"),
    ("a GPU that is lost while it computes", "tiny", "fault=cuEventSynchronize:4:999 late=1",
     r"step \d: the GPU is lost to this process, while it computed: CUDA error 999; go on from \S*step-00000002 with --resume"),
    ("a kernel that ran wild", "tiny", "fault=cuGraphLaunch:4:700",
     r"the GPU is lost to this process, .*CUDA_ERROR_ILLEGAL_ADDRESS \(an illegal memory access was encountered\); go on from"),
    ("memory that is out in the middle", "tiny", "fault=cuGraphLaunch:4:2",
     r"step 3: cannot run a graph: CUDA_ERROR_OUT_OF_MEMORY \(out of memory\); go on from \S*step-00000002 with --resume"),
    ("a number that is not finite", "nan", "late=1",
     r"the loss is not finite at step 2 \(epoch 0\); the first such value is made by (gradient of )?div at \S*nan.dpl:10:8. Checkpoints up to here are kept in"),
]


def whole():
    """A run that nothing disturbs computes what a CPU does."""
    for kept in glob.glob(os.path.join(FOLDER, "*.plans")):
        os.remove(kept)
    run("cpu", "--steps", "4", artifact="tiny.cpu.dpx")
    # CUDA's runtime library, which cuDNN's frontend asks for, is nothing that a machine needs to have.
    code, said = run("whole", "--steps", "4", "--checkpoint-steps", "2", settings="log=whole.log late=1", hidden="libcudart")
    expect("a run on the GPU is a run on the CPU", code == 0 and all(
        abs(one - other) < 1e-4 * abs(one) for one, other in zip(losses("cpu"), losses("whole"), strict=True)), said)
    memory = r"^memory +\d+ MiB: states 0.\d, a step \d.\d, libraries 64.0, pictures 0.5 \(all of them\); 8185\d of 81920 MiB are free$"
    expect("memory is told before the first step", re.search(memory, said, re.M) and said.index("memory") < said.index("epoch 1"), said)
    done = calls("whole.log")
    launches = [i for i, call in enumerate(done) if call.startswith("cuGraphLaunch")]
    expect("each function is captured once", sum(call.startswith("cuStreamBeginCapture") for call in done) == 2)
    waits = [i for i, call in enumerate(done) if call.startswith("cuEventSynchronize")]
    expect("a step is submitted before the one before is waited for", not any(launches[1] < wait < launches[2] for wait in waits), "\n".join(done))
    expect("nothing is allocated after the first step began", not any(call.startswith("cuMemAlloc") for call in done[launches[1]:]))
    known = [doppel("eval", "whole", *artifact, "--data", "shapes:32,test=16", "--json", settings="late=1")
             for artifact in ([], ["--artifact", "tiny.cpu.dpx"])]
    accuracies = [re.search(r'^{"knn":[\d.]+,"step":4', said, re.M) for _, said in known]
    expect("it represents images as a CPU does", all(accuracies) and accuracies[0].group() == accuracies[1].group(), str(known))
    code, said = run("streamed", "--steps", "4", settings="memory=200")
    expect("pictures that do not fit are sent a batch ahead", code == 0 and "pictures 0.1 (two batches); " in said, said)
    expect("to the same bits", filecmp.cmp(checkpoint("streamed", 4), checkpoint("whole", 4), False))
    code, said = run("ptx", "--steps", "1", settings="sm=100")
    expect("PTX is for later GPUs, and told", code == 0 and re.search(
        r"Recorded GPU 0 is an sm_100, and the artifact has .*: the driver compiles the PTX now; --target cuda:sm_100 spares that", said), said)


def plans():
    """Plans of cuDNN are kept beside the artifact, and are of one version."""
    tried = lambda log: sum(call.startswith("cudnnBackendExecute") and "captured" not in call for call in calls(log))
    kept = os.path.join(FOLDER, "tiny.gpu.dpx.cudnn-9.19.1-sm_90-132.plans")
    expect("plans are kept beside the artifact", os.path.exists(kept))
    expect("they were tried", tried("whole.log") > 0)
    run("again", "--steps", "1", settings="log=again.log", hidden="libcudart")
    expect("plans that are kept are not tried again", tried("again.log") == 0)
    code, _ = run("other", "--steps", "1", settings="log=other.log", DOPPEL_STAND_IN_CUDNN="92600")
    expect("those of another version are", code == 0 and tried("other.log") > 0)
    expect("and kept beside them", len(glob.glob(os.path.join(FOLDER, "tiny.gpu.dpx.cudnn-9.*"))) >= 2)
    with open(kept, "r+b") as file:
        file.seek(100)
        file.write(b"\0\0\0\0")
    code, said = run("damaged", "--steps", "1")
    expect("damaged ones are chosen anew, and that is told", code == 0 and re.search(
        r"sm_90-132.plans is not used, and plans are chosen anew: its bytes have changed", said), said)


def middle():
    for what, method, settings, message in MIDDLE:
        gpu = f"{method}.gpu.dpx"
        code, said = run("stopped", "--steps", "4", "--checkpoint-steps", "2", artifact=gpu, method=method, settings=settings)
        expect(f"{what}: exit code 1 (is {code})", code == 1, said)
        expect(f"{what}: {message}", re.search(f"^doppel: error: .*{message}", said, re.M), said)
        if method == "nan":
            # As on the CPU, but for the folder.
            code, cpu = run("stopped.cpu", "--steps", "4", "--checkpoint-steps", "2", artifact="nan.cpu.dpx")
            words = [re.search(r"the loss is not finite.*nan.dpl:[\d:]*", each).group() for each in (said, cpu)]
            expect(f"{what}: the CPU's words", code == 1 and words[0] == words[1], said + cpu)
            code, said = doppel("eval", "stopped", "--artifact", "nan.cpu.dpx", "--data", "shapes:160,test=32")
            expect(f"{what}: its weights are good", code == 0 and "encoder" in said, said)
            continue
        expect(f"{what}: the checkpoint is that of a run that was not stopped", filecmp.cmp(checkpoint("stopped", 2), checkpoint("whole", 2), False))
        code, said = run("stopped", "--steps", "4", artifact=gpu, resume=True)
        expect(f"{what}: it goes on", code == 0 and re.search(r"^steps +2 \.\. 4", said, re.M), said)
        expect(f"{what}: to the same bits", filecmp.cmp(checkpoint("stopped", 4), checkpoint("whole", 4), False))
    # Evaluated and gone on with where there is no GPU.
    run("moved", "--steps", "4", "--checkpoint-steps", "2", settings="fault=cuGraphLaunch:4:719")
    code, said = doppel("eval", "moved", "--data", DATA, hidden="libcuda.so")
    expect("eval without a driver says how", code == 1 and "NVIDIA's driver is not here" in said, said)
    code, said = doppel("eval", "moved", "--artifact", "tiny.cpu.dpx", "--data", "shapes:160,test=32", hidden="libcuda.so")
    expect("a run on the GPU is evaluated on the CPU", code == 0 and "encoder" in said, said)
    code, said = run("moved", "--steps", "4", artifact="tiny.cpu.dpx", resume=True, hidden="libcuda.so")
    expect("and goes on there", code == 0 and re.search(r"another program so far \(cuda", said) and re.search(r"^steps +2 \.\. 4", said, re.M), said)
    expect("with the losses of a whole run", all(
        abs(one - other) < 1e-4 * abs(one) for one, other in zip(losses("moved"), losses("whole"), strict=True)))


def bench():
    code, said = doppel("bench", "tiny.gpu.dpx", "--steps", "2", "--warmup", "0", "--profile", settings="log=bench.log late=1")
    expect("bench has two steps in flight, and a table", code == 0 and re.search(r"^ *ms a step +share +operation +computes", said, re.M)
           and re.search(r"Conv2DBackwardWeights", said), said)
    done = calls("bench.log")
    launches = [i for i, call in enumerate(done) if call.startswith("cuGraphLaunch")]
    expect("one is submitted before the one before is waited for", len(launches) == 3 and not any(
        call.startswith("cuEventSynchronize") for call in done[launches[1]:launches[2]]), "\n".join(done))
    code, said = doppel("bench", "tiny.gpu.dpx", "--views", "--steps", "1", "--warmup", "0", "--data", "shapes:16,size=64")
    expect("views of pictures of a size", code == 0 and "pictures of shapes:16,size=64" in said, said)


targets()
before()
whole()
plans()
middle()
bench()
print("all as it should be" if not failed else f"{len(failed)} are not so")
sys.exit(bool(failed))
