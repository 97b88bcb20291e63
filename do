#!/usr/bin/env bash
# Everything that a person does with this project from a clean clone on Debian 12: install what is missing, build, test, show, measure.
# Each command does first what it needs done before it, says in short lines what it does, and never is silent for a minute.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
  cat <<'TEXT'
usage: ./do COMMAND [ARGUMENT...]

  build [PRESET]    install what is missing and build (release, debug, asan or runtime; see CMakePresets.json)
  test  [PRESET]    build, then run the tests; the last line counts them
  test long         the same with the tests that take minutes (test/long)
  demo              build, train examples/simclr.dpl on the built-in shapes (about 3 minutes), and show what it learnt
  mutants [PATTERN] build, then try the small wrong changes that test/mutants lists: what do the tests not notice? (--list names them)
  fuzz TARGET [--minutes N]
                    build by clang, then run libFuzzer on it (spec, artifact, checkpoint, manifest, jpeg, png, webp, bmp, gif, tiff; 5 minutes by default)
  bench [PART...]   build, then compare with PyTorch in one run (step views compile recipe methods; the first three by default)
  package           build the runtime alone and make one archive of it that runs on other machines: build/doppel-VERSION-linux-x86_64.tar.gz
  format            format the C++ sources in place
  lint              check formatting, and the rules of the house that a script can check
  help              print this
TEXT
}

# What builds and tests need; all of it from Debian 12's own archives.
packages=(g++ cmake ninja-build
  libmlir-22-dev mlir-22-tools llvm-22-dev llvm-22-tools liblld-22-dev lld-22
  libdnnl-dev libflatbuffers-dev flatbuffers-compiler libjpeg-dev libpng-dev libwebp-dev
  libgif-dev libtiff-dev libxxhash-dev
  libcli11-dev libfmt-dev nlohmann-json3-dev libgtest-dev python3 python3-numpy python3-psutil)

say() { printf '%s\n' "$@"; }
fail() { printf '%s\n' "do: $*" >&2; exit 1; }
seconds() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# pulse LOG COMMAND...: runs COMMAND with its output in LOG; every 20 seconds says how far it is.
pulse() {
  local log=$1 begin=$SECONDS said=$SECONDS status=0 progress
  shift
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 &
  local pid=$!
  trap 'kill '"$pid"' 2>/dev/null || true; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.5
    if ((SECONDS - said >= 20)); then
      said=$SECONDS
      progress=$(grep -aoE '^\[[0-9]+/[0-9]+\]|(PASS|FAIL|UNSUPPORTED|TIMEOUT): .*\([0-9]+ of [0-9]+\)$' "$log" | tail -n 1 || true)
      say "  $(seconds $((SECONDS - begin)))  ${progress:-working}"
    fi
  done
  wait "$pid" || status=$?
  trap - INT TERM
  return "$status"
}

# run_quietly LOG COMMAND...: the same; where it fails, shows the end of LOG.
run_quietly() {
  pulse "$@" && return
  tail -n 60 "$1" >&2
  say "  failed; all of it: $1" >&2
  return 1
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "missing packages and neither root nor sudo; install by hand: $*"
  fi
}

# install_missing PACKAGE...: through apt-get, only those that are not there.
install_missing() {
  local package missing=()
  if ! command -v apt-get >/dev/null; then
    say "No apt-get here: going on with what is installed (the list for Debian 12 is in ./do)."
    return 0
  fi
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "Installing ${#missing[@]} packages: ${missing[*]}"
  run_quietly build/log/apt-update.log as_root apt-get -q update ||
    fail "apt-get update failed; is the network there?"
  run_quietly build/log/apt-install.log as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q install -y --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install them; Debian 12 has LLVM 22 in bookworm-security, which must be among the sources of apt"
}

# The headers of CUDA that no toolkit has here (cmake/Cuda.cmake says which are used).
fetch_cuda_headers() {
  local folder=${CUDA_HOME:-/usr/local/cuda}/include only=()
  [[ -f $folder/cuda.h && -f $folder/cudnn.h && -f $folder/cublasLt.h ]] && only=(--frontend-only)
  run_quietly build/log/cuda-headers.log /usr/bin/python3 cmake/cuda_headers.py build/cuda "${only[@]}" ||
    fail "cannot fetch the headers of CUDA from PyPI; is the network there?"
}

# One compile job a core, fewer where memory is short: a file that includes MLIR takes up to 1.5 GB.
job_count() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/MemAvailable/ { print int($2 / 1572864) }' /proc/meminfo)
  ((memory < 1)) && memory=1
  echo $((cores < memory ? cores : memory))
}

build() {
  local preset=${1:-release} begin=$SECONDS
  [[ $preset =~ ^(release|debug|asan|runtime)$ ]] || fail "no preset '$preset' (release, debug, asan, runtime)"
  install_missing "${packages[@]}"
  fetch_cuda_headers
  say "Building $preset"
  run_quietly "build/log/configure-$preset.log" cmake --preset "$preset" || exit 1
  run_quietly "build/log/build-$preset.log" cmake --build --preset "$preset" -j "$(job_count)" || exit 1
  say "Built in $(seconds $((SECONDS - begin))): build/$preset/bin"
}

run_tests() {
  local preset=release status=0
  if [[ ${1:-} == long ]]; then
    export DOPPEL_TEST_LONG=1
  else
    preset=${1:-release}
  fi
  build "$preset"
  rm -f "build/$preset"/results-*.json
  say "Testing"
  pulse "build/log/test-$preset.log" ctest --preset "$preset" -V || status=$?
  /usr/bin/python3 test/tools/count.py "build/$preset" "$status" || status=1
  return "$status"
}

# A small SimCLR that learns the shapes within minutes on two cores.
demo_settings=(batch=128 epochs=9 size=32 backbone=resnet10 stem=cifar width=16 zero_init=false hidden=128 dim=64 head_norm=false
  temperature=0.2 optimizer=sgd lr=0.3 weight_decay=5e-4 warmup_epochs=0 warmup_steps=50 views=cifar)

demo() {
  local doppel=build/release/bin/doppel artifact=build/demo/simclr.dpx folder=runs/demo sets=() setting begin trained untrained
  build release
  for setting in "${demo_settings[@]}"; do sets+=(--set "$setting"); done
  mkdir -p build/demo runs
  say "" "Compiling examples/simclr.dpl"
  "$doppel" compile examples/simclr.dpl -o "$artifact" "${sets[@]}"
  say "" "Training on the built-in shapes (at most 3 minutes on 2 cores)"
  begin=$SECONDS
  "$doppel" run "$artifact" --data shapes --out "$folder" --overwrite
  say "Trained in $(seconds $((SECONDS - begin)))"
  say "" "Classifying each test image by its 200 nearest neighbours among the training images"
  trained=$("$doppel" eval "$folder" --data shapes --raw --json)
  untrained=$("$doppel" eval "$folder" --data shapes --untrained --json)
  /usr/bin/python3 - "$trained" "$untrained" "$folder" <<'PYTHON'
import json, sys
trained, untrained = json.loads(sys.argv[1]), json.loads(sys.argv[2])
print()
for name, accuracy in (("raw pixels", trained["raw_pixels"]), ("untrained encoder", untrained["knn"]), ("trained encoder", trained["knn"])):
    print(f"  {name:18} {accuracy * 100:5.1f} %  {'#' * round(accuracy * 40)}")
print(f"""
The run is in {sys.argv[3]}: the artifact, checkpoints, metrics.jsonl. Try next:
  build/release/bin/doppel inspect build/demo/simclr.dpx
  build/release/bin/doppel preview build/demo/simclr.dpx -o views.png
  build/release/bin/doppel train examples/moco_v2.dpl --data FOLDER_OF_IMAGES --out runs/mine \\
    --set size=128 --set backbone=resnet18 --set batch=64 --set length=4096 --set groups=1 --set epochs=10
  docs/language.md tells how a method is written; examples/ holds eleven.""")
PYTHON
}

bench() {
  build release
  /usr/bin/python3 bench/bench.py --bin build/release/bin "$@"
}

mutants() {
  [[ ${1:-} == --* ]] || build release
  /usr/bin/python3 test/mutants/mutants.py "$@"
}

# What a fuzz target's program and corpus are: test/fuzz/README.md.
fuzz() {
  local target=${1:-} minutes=5 program found folders=() status=0
  [[ $target =~ ^(spec|artifact|checkpoint|manifest|jpeg|png|webp|bmp|gif|tiff)$ ]] ||
    fail "which target? spec, artifact, checkpoint, manifest, jpeg, png, webp, bmp, gif or tiff"
  if [[ ${2:-} == --minutes ]]; then minutes=${3:-}; elif (($# > 1)); then fail "no option '$2' (--minutes N)"; fi
  [[ $minutes =~ ^[1-9][0-9]*$ ]] || fail "--minutes takes a whole number"
  case $target in
  spec | artifact | checkpoint | manifest) program=doppel-fuzz-$target ;;
  *) program=doppel-fuzz-image ;;
  esac
  [[ $target == spec ]] && folders=(examples test/frontends/spec)
  [[ -d test/fuzz/Inputs/$target ]] && folders+=("test/fuzz/Inputs/$target")
  found=build/fuzz/found/$target
  mkdir -p "$found"
  install_missing "${packages[@]}" clang-22 libclang-rt-22-dev
  fetch_cuda_headers
  say "Building $program by clang (the first time takes minutes)"
  run_quietly build/log/configure-fuzz.log cmake --preset fuzz || exit 1
  run_quietly build/log/build-fuzz.log cmake --build --preset fuzz -j "$(job_count)" --target "$program" || exit 1
  say "Fuzzing $target for $minutes minutes; all that libFuzzer says: build/log/fuzz-$target.log"
  # MLIR's libraries are not built with the sanitizers (see test/lit.cfg.py).
  ASAN_OPTIONS=detect_container_overflow=0:allow_user_poisoning=0:detect_leaks=0:allocator_may_return_null=1 \
  UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    pulse "build/log/fuzz-$target.log" "build/fuzz/bin/$program" -max_total_time=$((minutes * 60)) -timeout=20 -rss_limit_mb=4096 \
    -max_len=8192 -len_control=0 -artifact_prefix="build/fuzz/$target-" "$found" "${folders[@]}" || status=$?
  if ((status != 0)); then
    tail -n 60 "build/log/fuzz-$target.log" >&2
    fail "found something: mend it, and keep the input in test/fuzz/Inputs/$target"
  fi
  say "$(grep -E '^#[0-9]+' "build/log/fuzz-$target.log" | tail -n 1)" "Nothing found."
}

# The oldest C and C++ libraries that the archive runs with, Ubuntu 22.04's; its own libraries are Debian 12's, which has 2.36.
package_oldest=(GLIBC_2.35 GLIBCXX_3.4.30 CXXABI_1.3.13)

# package: bin/doppel, and in lib/ what not every machine has: all but the C and C++ libraries. A compiler is not in it.
package() {
  local version folder archive file oldest needs newest=0
  build runtime
  version=$(sed -n 's/^project(Doppel VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
  folder=build/package/doppel-$version-linux-x86_64
  archive=build/doppel-$version-linux-x86_64.tar.gz
  say "Packing $archive"
  rm -rf build/package
  run_quietly build/log/package.log cmake --install build/runtime --component runtime --strip --prefix "$PWD/$folder" || exit 1
  mkdir "$folder/docs"
  cp README.md "$folder"
  cp docs/*.md "$folder/docs"
  mkdir -p "$folder/licenses"
  for file in "$folder"/lib/*; do
    # Debian's list says /lib of some and /usr/lib of others.
    needs=$(dpkg-query -S "*/x86_64-linux-gnu/$(basename "$(readlink -f "$file")")" 2>/dev/null | head -n 1 | cut -d: -f1) || fail "no Debian package has ${file##*/}: whose license is it under?"
    cp "/usr/share/doc/$needs/copyright" "$folder/licenses/$needs"
  done
  for file in "$folder"/bin/* "$folder"/lib/*; do
    for oldest in "${package_oldest[@]}"; do
      needs=$(readelf -VW "$file" | grep -o "\b${oldest%_*}_[0-9.]*" | sort -V | tail -n 1 || true)
      [[ $(printf '%s\n' "$oldest" "$needs" | sort -V | tail -n 1) == "$oldest" ]] ||
        fail "${file##*/} needs $needs, the archive is to run with $oldest"
      [[ $needs != GLIBC_* ]] || newest=$(printf '%s\n' "$newest" "${needs#GLIBC_}" | sort -V | tail -n 1)
    done
  done
  tar -C build/package -czf "$archive" "${folder##*/}"
  say "$archive: $(du -h --apparent-size "$archive" | cut -f1)B, $(find "$folder/lib" -type f | wc -l) libraries, needs glibc $newest or later" \
    "There: tar xzf ${archive##*/}; ${folder##*/}/bin/doppel run ARTIFACT --data FOLDER --out RUN"
}

sources() { git ls-files '*.cpp' '*.h'; }

format() {
  install_missing clang-format
  sources | xargs -r clang-format -i
}

lint() {
  local status=0
  install_missing clang-format python3
  sources | xargs -r clang-format --dry-run --Werror --ferror-limit=1 || status=1
  /usr/bin/python3 test/tools/house.py . || status=1
  ((status == 0)) && say "Nothing to mend."
  return "$status"
}

command=${1:-help}
(($#)) && shift
case $command in
build) build "$@" ;;
test) run_tests "$@" ;;
demo) demo ;;
fuzz) fuzz "$@" ;;
bench) bench "$@" ;;
mutants) mutants "$@" ;;
package) package ;;
format) format ;;
lint) lint ;;
help | -h | --help) usage ;;
*)
  usage >&2
  fail "no command '$command'"
  ;;
esac
