"""Makes the archive that run.sh takes: see prepare.sh and README.md. What it puts into the archive:

    runtime/            the archive of `./do package`, unpacked (--runtime)
    golden/NAME.dpx     each method of test/golden and examples, for the GPU; NAME.json: its data and what the CPU lost at each step;
                        NAME.safetensors: the CPU's states after the last
    continued/          a run folder of the CPU that stopped half way
    nan.dpx, nan.txt    a method whose loss becomes infinite, and what the CPU says of it
    speed/NAME.dpx      the works of the table of speeds, in tf32; NAME.json: bytes that each kernel moves
    tests/              the tests of the CUDA device (--tests)
    run.py, pytorch_steps.py, archive.json
"""
import argparse
import glob
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STEPS = 10
LIMIT_MIB = 60

# Methods of examples/ of which test/golden has no run.
MORE = {"barlow_twins": ("examples/barlow_twins.dpl", 80, ["backbone=resnet10", "stem=cifar", "width=4", "dim=16", "warmup_epochs=1",
                                                            "batch=16", "epochs=2", "size=8"])}

NAN = """use std.{nets, losses, augment}

/// The loss is divided by zero at the third step.
method Vanishes {
  param batch = 8
  param epochs = 1
  view a, b = augment.cifar(image, size: 16)
  net online = nets.resnet10(width: 4, stem: "cifar")
  let contrast = losses.nt_xent(normalize(online(a)), normalize(online(b)), temperature: 0.2)
  loss contrast / (step - 2.0)
  optimize online with sgd(lr: 0.1)
  represent online(augment.center(image, size: 16))
}
"""

# The table of speeds: what PyTorch calls it in pytorch_steps.py, the spec, its settings.
SPEED = {
    "simclr_resnet50": ("examples/simclr.dpl", ["batch=128", "backbone=resnet50", "size=224"]),
    "simclr_resnet18_cifar": ("examples/simclr.dpl", ["batch=512", "backbone=resnet18", "size=32", "stem=cifar", "optimizer=sgd",
                                                       "hidden=512", "views=cifar"]),
    "dino_vit_small": ("examples/dino.dpl", ["batch=64", "backbone=vit_small", "size=224"]),
    "moco_v2_resnet50": ("examples/moco_v2.dpl", ["batch=128", "backbone=resnet50", "size=224"]),
}


def fail(message):
    sys.exit(f"prepare: {message}")


def run(command, wanted=0, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode != wanted:
        fail(f"{' '.join(command)}\nended with {done.returncode}, not {wanted}\n{done.stderr[-2000:]}")
    return done


def metadata(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(size))["__metadata__"]


def word(value):
    """A setting's value as --set takes it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def goldens():
    """Name -> (spec, samples, settings)."""
    found = dict(MORE)
    for path in sorted(glob.glob(os.path.join(ROOT, "test", "golden", "*.safetensors"))):
        facts = metadata(path)
        if facts.get("spec", "").startswith("examples/"):
            settings = [f"{name}={word(value)}" for name, value in json.loads(facts["settings"]).items()]
            found[os.path.basename(path)[:-len(".safetensors")]] = (facts["spec"], int(facts["samples"]), settings)
    return found


def bytes_of(types):
    total = 0
    for shape, element in re.findall(r"tensor<((?:\d+x)*)([a-z]+\d*)>", types):
        size = {"f32": 4, "i64": 8, "i32": 4, "bf16": 2, "i8": 1}.get(element, 0)
        for extent in shape.split("x")[:-1]:
            size *= int(extent)
        total += size
    return total


def launches(plan):
    """Of the function @step: kernel -> bytes that a launch reads and writes, and the kernel that sweeps over the parameters: the one that
    writes most bytes of states."""
    step = plan[plan.index("plan.func @step"):]
    step = step[:step.index("\n  }")]
    states = set(re.findall(r"(%\d+) = plan\.buffer @state", step))
    moved, written = {}, {}
    for name, outputs, types in re.findall(r"plan\.launch @(\w+)\(.*?\) -> \((.*?)\) : (.*)", step):
        moved[name] = bytes_of(types)
        results = types.rpartition("->")[2]
        if all(output in states for output in outputs.split(", ")):
            written[name] = max(written.get(name, 0), bytes_of(results))
    return moved, max(written, key=written.get) if written else None


class Archive:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.compiler = os.path.join(options.bin, "doppel")
        self.cpu = os.path.join(folder, "..", "cpu.dpx")

    def path(self, *parts):
        path = os.path.join(self.folder, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def compile(self, spec, settings, output, target, *more):
        sets = [w for setting in settings for w in ("--set", setting)]
        run([self.compiler, "compile", spec, "-q", "--target", target, "-o", output, *sets, *more])

    def compile_twice(self, spec, settings, output):
        """For the target, and for this CPU as self.cpu."""
        self.compile(spec, settings, output, self.options.target)
        if self.options.target == "cpu":
            shutil.copy(output, self.cpu)
        else:
            self.compile(spec, settings, self.cpu, "cpu")

    def runtime(self):
        target = self.path("runtime", "bin", "doppel")
        if os.path.isdir(self.options.runtime):
            shutil.copytree(self.options.runtime, self.path("runtime"), dirs_exist_ok=True)
        else:
            with tarfile.open(self.options.runtime) as archive:
                archive.extractall(self.path("unpacked"))
            (inner,) = os.listdir(self.path("unpacked"))
            shutil.rmtree(self.path("runtime"))
            os.rename(self.path("unpacked", inner), self.path("runtime"))
            os.rmdir(self.path("unpacked"))
        if not os.path.exists(target):
            fail(f"{self.options.runtime} has no bin/doppel; it is the archive of `./do package`")

    def expect_own_runtime(self, artifact):
        """An old package may not read what this compiler writes: that is to show here, not there."""
        done = subprocess.run([self.path("runtime", "bin", "doppel"), "inspect", artifact], capture_output=True, text=True)
        if done.returncode != 0:
            fail(f"the runtime of {self.options.runtime} does not read what this compiler writes, make it anew (./do package): {done.stderr.strip()}")

    def train(self, artifact, data, out, *more, wanted=0):
        return run([self.compiler, "run", artifact, "--data", data, "--out", out, "--threads", "1", *more], wanted)

    def golden(self, name, spec, samples, settings):
        self.compile_twice(os.path.join(ROOT, spec), settings, self.path("golden", name + ".dpx"))
        data, out = f"shapes:{samples}", os.path.join(self.folder, "..", "run-" + name)
        self.train(self.cpu, data, out)
        with open(os.path.join(out, "metrics.jsonl")) as file:
            losses = [json.loads(line)["loss"] for line in file]
        if len(losses) != STEPS:
            fail(f"{name} took {len(losses)} steps, not {STEPS}")
        shutil.copy(os.path.join(out, "checkpoints", f"step-{STEPS:08}", "states.safetensors"), self.path("golden", name + ".safetensors"))
        with open(self.path("golden", name + ".json"), "w") as file:
            json.dump({"spec": spec, "data": data, "losses": losses}, file)

    def continued(self, name, samples):
        """Half a run of the CPU, by the artifact that self.cpu still is."""
        self.train(self.cpu, f"shapes:{samples}", self.path("continued"), "--steps", str(STEPS // 2))
        with open(self.path("continued.json"), "w") as file:
            json.dump({"golden": name}, file)

    def nan(self):
        spec, out = os.path.join(self.folder, "..", "vanishes.dpl"), os.path.join(self.folder, "..", "vanishes")
        with open(spec, "w") as file:
            file.write(NAN)
        self.compile_twice(spec, [], self.path("nan.dpx"))
        said = self.train(self.cpu, "shapes:40", out, "--checkpoint-steps", "1", wanted=1).stderr
        match = re.search(r"the loss is not finite.*?made by [^.]*\.dpl:\d+:\d+", said)
        if not match:
            fail(f"the CPU does not say where the loss went: {said}")
        with open(self.path("nan.txt"), "w") as file:
            file.write(match.group())

    def speed(self, name, spec, settings):
        """As PyTorch is asked (pytorch_steps.py): f32 with tf32 allowed."""
        spec, target = os.path.join(ROOT, spec), self.options.target
        precision = [] if target.startswith("cpu") else ["--precision", "tf32"]
        self.compile(spec, settings, self.path("speed", name + ".dpx"), target, *precision)
        sets = [w for setting in settings for w in ("--set", setting)]
        moved, sweep = launches(run([self.compiler, "compile", spec, "--emit", "plan", "--target", target, *precision, *sets]).stdout)
        with open(self.path("speed", name + ".json"), "w") as file:
            json.dump({"bytes": moved, "sweep": sweep}, file)


def main():
    parser = argparse.ArgumentParser(prog="prepare.sh", description="Makes the archive that test/gpu/run.sh takes.")
    release = os.path.join(ROOT, "build", "release")
    packages = sorted(glob.glob(os.path.join(ROOT, "build", "doppel-*-linux-x86_64.tar.gz")))
    parser.add_argument("-o", "--output", default=os.path.join(ROOT, "build", "doppel-gpu.tar.gz"))
    parser.add_argument("--target", default="cuda:sm_90", help="of the artifacts; cpu tries the scripts themselves")
    parser.add_argument("--bin", default=os.path.join(release, "bin"), help="where the compiler is")
    parser.add_argument("--runtime", default=packages[-1] if packages else None, help="archive of `./do package`, or a folder with bin/doppel")
    parser.add_argument("--tests", help="tests of the CUDA device to take along (default for a GPU: doppel-cuda-tests beside the compiler)")
    parser.add_argument("--goldens", nargs="+", metavar="NAME", help="only these methods")
    parser.add_argument("--works", nargs="*", metavar="NAME", help="only these works of the table of speeds")
    options = parser.parse_args()
    if not options.tests and not options.target.startswith("cpu"):
        options.tests = os.path.join(options.bin, "doppel-cuda-tests")
        if not os.path.exists(options.tests):
            fail(f"{options.tests} is not there: ./do build makes it")
    if not options.runtime:
        fail("there is no package of the runtime: ./do package makes it")
    chosen = goldens()
    for name in options.goldens or ():
        if name not in chosen:
            fail(f"no golden run is called {name}: {', '.join(chosen)}")
    names = options.goldens or list(chosen)
    works = SPEED if options.works is None else {name: SPEED[name] for name in options.works}
    with tempfile.TemporaryDirectory(prefix="doppel-gpu-") as work:
        archive = Archive(options, os.path.join(work, "doppel-gpu"))
        archive.runtime()
        for name in names:
            print(f"golden {name}", flush=True)
            archive.golden(name, *chosen[name])
            if name == names[0]:
                archive.expect_own_runtime(archive.path("golden", name + ".dpx"))
            if name == names[0]:
                archive.continued(name, chosen[name][1])
        archive.nan()
        for name, facts in works.items():
            print(f"speed {name}", flush=True)
            archive.speed(name, *facts)
        if options.tests:
            shutil.copy(options.tests, archive.path("tests", "doppel-cuda-tests"))
        for file in ("run.py", "pytorch_steps.py"):
            shutil.copy(os.path.join(HERE, file), archive.path(file))
        version = run([archive.compiler, "--version"]).stdout.strip()
        with open(archive.path("archive.json"), "w") as file:
            json.dump({"target": options.target, "version": version, "goldens": names, "works": list(works)}, file)
        with tarfile.open(options.output, "w:gz") as packed:
            packed.add(archive.folder, "doppel-gpu")
    size = os.path.getsize(options.output) / (1 << 20)
    print(f"{options.output}: {size:.1f} MiB, {len(names)} methods and {len(works)} works for {options.target}")
    if size > LIMIT_MIB:
        fail(f"it is to fit {LIMIT_MIB} MiB")


if __name__ == "__main__":
    main()
