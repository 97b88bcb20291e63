// Kernels that DeviceConformance.h launches, compiled for the host as a code segment is: a shared
// object of functions of abi::KernelFunction. A device with another kind of code compiles the same
// functions its own way.
#include "runtime/schema/Abi.h"

#include <cstdint>
#include <cstring>
#include <sched.h>

using namespace doppel::abi;

namespace {

template <typename T> T *at(void *const *buffers, int index) {
  return static_cast<T *>(buffers[index]);
}

} // namespace

extern "C" {

/// x: f32 [grid] -> sum: f32 [grid], sum[g] += x[g] + 1. A workgroup that is left out, or done
/// twice, shows.
void count_groups(void *const *buffers, int64_t begin, int64_t end, void *) {
  const float *x = at<float>(buffers, 0);
  float *sum = at<float>(buffers, 1);
  for (int64_t g = begin; g < end; ++g)
    sum[g] += x[g] + 1;
}

/// What count_groups would have been compiled for, were its grid 3: abi::signatureSuffix.
extern const int64_t count_groups_signature[] asm("count_groups.signature");
const int64_t count_groups_signature[] = {3, 0, 1, 1, 12, 12};

/// x: f32 [grid] -> y: f32 [grid], x times 2; z: f32 [grid], 1 / x.
void double_and_invert(void *const *buffers, int64_t begin, int64_t end, void *) {
  const float *x = at<float>(buffers, 0);
  for (int64_t g = begin; g < end; ++g) {
    at<float>(buffers, 1)[g] = 2 * x[g];
    at<float>(buffers, 2)[g] = 1 / x[g];
  }
}

/// f32, f64, i64, i32, u8, bool, images (each [grid]) and the run's scalars -> f64 [grid]: their
/// sum, each with a weight of its own. Behind the buffers comes the images' slab.
void read_every_kind(void *const *buffers, int64_t begin, int64_t end, void *) {
  const ImageRef *images = at<ImageRef>(buffers, 6);
  const RunScalars &run = *at<RunScalars>(buffers, 7);
  double *sum = at<double>(buffers, 8);
  const uint8_t *slab = at<uint8_t>(buffers, 9);
  for (int64_t g = begin; g < end; ++g) {
    const ImageRef &image = images[g];
    int64_t last = int64_t(image.height) * image.width * 3 - 1;
    sum[g] = 1 * at<float>(buffers, 0)[g] + 2 * at<double>(buffers, 1)[g] +
             3 * double(at<int64_t>(buffers, 2)[g]) + 5 * double(at<int32_t>(buffers, 3)[g]) +
             7 * double(at<uint8_t>(buffers, 4)[g]) + 11 * double(at<bool>(buffers, 5)[g]) +
             13 * double(slab[image.offset]) + 17 * double(slab[image.offset + uint64_t(last)]) +
             19 * double(image.index) + 23 * double(run.seed) + 29 * double(run.step) +
             31 * double(run.stepsPerEpoch) + 37 * double(run.epochs) + 41 * double(run.samples);
  }
}

/// -> f32, f64, i64, i32, u8, bool, each [grid]: g + 0.5, g + 0.25, 2^40 + g, the bits of a float
/// infinity, g mod 256, g odd.
void write_every_kind(void *const *buffers, int64_t begin, int64_t end, void *) {
  for (int64_t g = begin; g < end; ++g) {
    at<float>(buffers, 0)[g] = float(g) + 0.5f;
    at<double>(buffers, 1)[g] = double(g) + 0.25;
    at<int64_t>(buffers, 2)[g] = (int64_t(1) << 40) + g;
    at<int32_t>(buffers, 3)[g] = 0x7f800000;
    at<uint8_t>(buffers, 4)[g] = uint8_t(g);
    at<bool>(buffers, 5)[g] = g % 2 != 0;
  }
}

/// 4096 bytes of scratch; workers: i32 [1] -> wrong: i32 [grid], how often a word of the scratch
/// was not what this workgroup wrote last, or its address was no multiple of 64; arrived: i32 [1],
/// to be 0 before. As many workgroups as there are workers have their scratch at once, if they can.
void use_scratch(void *const *buffers, int64_t begin, int64_t end, void *scratch) {
  int32_t workers = *at<int32_t>(buffers, 0);
  int32_t *arrived = at<int32_t>(buffers, 2);
  auto *words = static_cast<volatile uint64_t *>(scratch);
  for (int64_t g = begin; g < end; ++g) {
    int32_t wrong = reinterpret_cast<uintptr_t>(scratch) % 64 != 0;
    for (uint64_t word = 0; word < 512; ++word)
      words[word] = uint64_t(g) << 32 | word;
    __atomic_fetch_add(arrived, 1, __ATOMIC_SEQ_CST);
    for (int turns = 0; turns < 1'000'000 && __atomic_load_n(arrived, __ATOMIC_SEQ_CST) < workers;
         ++turns)
      sched_yield();
    for (uint64_t word = 0; word < 512; ++word)
      wrong += words[word] != (uint64_t(g) << 32 | word);
    at<int32_t>(buffers, 1)[g] = wrong;
  }
}

/// images [4], the run's scalars -> y: f32 [64], loss: f32 []; y[i] = the first level of image i
/// mod 4, plus 256 times the step, or NaN in the step that has the number of the run's seed. The
/// loss is y[1].
void toy_step(void *const *buffers, int64_t begin, int64_t end, void *) {
  const ImageRef *images = at<ImageRef>(buffers, 0);
  const RunScalars &run = *at<RunScalars>(buffers, 1);
  const uint8_t *slab = at<uint8_t>(buffers, 4);
  for (int64_t i = 16 * begin; i < 16 * end; ++i) {
    float value = float(slab[images[i % 4].offset]) + 256 * float(run.step);
    if (uint64_t(run.step) == run.seed)
      value = __builtin_nanf("");
    at<float>(buffers, 2)[i] = value;
    if (i == 1)
      *at<float>(buffers, 3) = value;
  }
}

extern const int64_t toy_step_signature[] asm("toy_step.signature");
const int64_t toy_step_signature[] = {4, 0, 2, 2, 4 * sizeof(ImageRef), sizeof(RunScalars), 256, 4};

/// 2^20 bytes of scratch -> i32 [1]: fills its scratch, so the device's workspace, with NaN.
void spoil_scratch(void *const *buffers, int64_t, int64_t, void *scratch) {
  std::memset(scratch, 0xff, 1 << 20);
  *at<int32_t>(buffers, 0) = 1;
}
}
