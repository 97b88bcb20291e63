# The lit suite: every .mlir, .dpl and .test under test/ that holds a RUN line. RUN lines are run by bash with `pipefail`, with the
# build's tools and LLVM's (FileCheck, not, split-file) first in PATH, in a folder of the build; `%t` is theirs alone, the sources are
# only read. Files that a test reads but that are no tests stand in folders named Inputs; tests that take minutes stand in folders named
# long, which `./do test long` runs (DOPPEL_TEST_LONG in the environment).
#
# Substitutions: %tiny (settings that make SimCLR a matter of seconds: 10 steps an epoch on shapes:160), %sets (the settings alone), %examples, %std, %golden, %root (folders of the sources); %recording (of the stand-ins for NVIDIA's libraries); %python (Debian's python3).
# Features, for REQUIRES: avx2, avx512 (of this processor), cifar10 and clothing (DOPPEL_CIFAR10 and
# DOPPEL_CLOTHING name folders of images; then %cifar10 and %clothing stand for them), sanitizer, root (permissions do not bind), cudnn (of long tests: cuDNN 9 is found).
import os
import subprocess

import lit.formats

config.name = "doppel"
config.test_format = lit.formats.ShTest(execute_external=True)
config.suffixes = [".mlir", ".dpl", ".test"]
config.excludes = ["Inputs", "unit", "lit.cfg.py", "lit.site.cfg.py.in"]
if not os.environ.get("DOPPEL_TEST_LONG"):
    config.excludes.append("long")
config.test_source_root = os.path.dirname(os.path.abspath(__file__))

source = config.doppel_source_dir
python = "/usr/bin/python3"

config.environment["PATH"] = os.pathsep.join(
    [config.doppel_tools_dir, config.llvm_tools_dir, config.environment["PATH"]]
)
config.environment["LC_ALL"] = "C.UTF-8"
config.environment["FILECHECK_OPTS"] = "--dump-input-filter=annotation-full"
# Tests run side by side: a thread that waits must not spin on the core of its neighbour.
config.environment["OMP_WAIT_POLICY"] = "passive"
config.environment.pop("NO_COLOR", None)
if config.sanitized:
    config.available_features.add("sanitizer")
    # MLIR's libraries are not built with the sanitizers; containers and arenas shared with them would be reported for nothing.
    config.environment["ASAN_OPTIONS"] = "detect_container_overflow=0:allow_user_poisoning=0:detect_leaks=0"
    config.environment["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1"

tiny = {
    "batch": 16, "epochs": 2, "size": 16, "backbone": "resnet10", "stem": "cifar", "width": 4, "hidden": 16, "dim": 8,
    "views": "cifar", "optimizer": "sgd", "lr": 0.05, "warmup_epochs": 0,
}
config.substitutions += [
    ("%tiny", "%examples/simclr.dpl %sets"),
    ("%sets", " ".join(f"--set {name}={value}" for name, value in tiny.items())),
    ("%examples", os.path.join(source, "examples")),
    ("%std", os.path.join(source, "frontends", "spec", "std")),
    ("%golden", os.path.join(source, "test", "golden")),
    ("%root", source),
    ("%recording", os.path.join(config.test_exec_root, "recording")),
    ("%python", python),
]

for feature, variable in [("cifar10", "DOPPEL_CIFAR10"), ("clothing", "DOPPEL_CLOTHING")]:
    folder = os.environ.get(variable, "")
    if os.path.isdir(folder):
        config.available_features.add(feature)
        config.substitutions.append(("%" + feature, os.path.abspath(folder)))

with open("/proc/cpuinfo") as file:
    cpuinfo = file.read()
for feature, flag in [("avx2", " avx2 "), ("avx512", " avx512f ")]:
    if flag in cpuinfo:
        config.available_features.add(feature)
if os.geteuid() == 0:
    config.available_features.add("root")
if os.environ.get("DOPPEL_TEST_LONG"):
    plans = os.path.join(config.doppel_tools_dir, "doppel-cudnn-plans")
    if os.path.exists(plans) and subprocess.run([plans, "--here"], capture_output=True).returncode == 0:
        config.available_features.add("cudnn")

try:
    import psutil  # noqa: F401  (lit needs it to stop a test that hangs)

    lit_config.maxIndividualTestTime = 1800 if os.environ.get("DOPPEL_TEST_LONG") else 900
except ImportError:
    pass
