// Runs a fuzz target without libFuzzer: over every file that it is given, then over changes of them
// that follow from a seed alone, so that a run is the same on every machine. It takes libFuzzer's
// arguments (-runs, -seed, -max_len, -timeout, -artifact_prefix; files and folders) and ends as
// libFuzzer does: an input at which the target dies or hangs is written to a file and named.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

extern "C" {
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
[[gnu::weak]] int LLVMFuzzerInitialize(int *argc, char ***argv);
[[gnu::weak]] size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                             unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);
/// Of AddressSanitizer, where the program is built with it.
[[gnu::weak]] void __sanitizer_set_death_callback(void (*callback)());
}

namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<uint8_t>;

std::mt19937_64 generator;
std::vector<Bytes> corpus;

size_t below(size_t limit) { return generator() % limit; }

/// The input that runs now, for the handler of a signal.
const Bytes *current = nullptr;
std::string resultPath;

void writeCurrent() {
  if (!current)
    return;
  int file = open(resultPath.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (file < 0 || write(file, current->data(), current->size()) != ssize_t(current->size()))
    return;
  close(file);
  std::fprintf(stderr, "the input stands in %s\n", resultPath.c_str());
  current = nullptr;
}

void onSignal(int signal) {
  if (signal == SIGALRM)
    std::fprintf(stderr, "an input takes too long\n");
  writeCurrent();
  std::signal(signal, SIG_DFL);
  raise(signal);
}

/// One change of an input, as libFuzzer makes them, in place; returns the new size.
size_t change(uint8_t *data, size_t size, size_t maxSize) {
  static constexpr uint8_t kBytes[] = {0, 1, 0x7f, 0x80, 0xff, 'I', 'M', '"', '{', '}'};
  static constexpr int64_t kIntegers[] = {
      0, 1, -1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, INT64_MAX, INT64_MIN};
  auto insert = [&](const uint8_t *source, size_t count) {
    count = std::min(count, maxSize - size);
    Bytes copy(source, source + count);
    size_t at = below(size + 1);
    std::memmove(data + at + count, data + at, size - at);
    std::copy(copy.begin(), copy.end(), data + at);
    size += count;
  };
  if (size == 0) {
    uint8_t byte = uint8_t(generator());
    insert(&byte, 1);
    return size;
  }
  switch (below(8)) {
  case 0:
    data[below(size)] ^= uint8_t(1 << below(8));
    break;
  case 1:
    data[below(size)] = below(2) ? kBytes[below(std::size(kBytes))] : uint8_t(generator());
    break;
  case 2: { // an integer of 2, 4 or 8 bytes, aligned or not
    size_t width = size_t(2) << below(3);
    if (width > size)
      break;
    size_t at = below(size - width + 1);
    if (below(2))
      at -= at % width;
    int64_t value = 0;
    std::memcpy(&value, data + at, width);
    value = below(2) ? value + int64_t(below(33)) - 16 : kIntegers[below(std::size(kIntegers))];
    std::memcpy(data + at, &value, width);
    break;
  }
  case 3: { // out
    size_t at = below(size), count = std::min(size - at, 1 + below(below(2) ? 8 : size));
    std::memmove(data + at, data + at + count, size - at - count);
    size -= count;
    break;
  }
  case 4: { // doubled elsewhere
    size_t at = below(size);
    insert(data + at, 1 + below(std::min<size_t>(size - at, 64)));
    break;
  }
  case 5: { // one part over another
    size_t from = below(size), to = below(size);
    std::memmove(data + to, data + from, 1 + below(size - std::max(from, to)));
    break;
  }
  case 6:
  case 7: { // a part of another input of the corpus
    const Bytes &other = corpus[below(corpus.size())];
    if (other.empty())
      break;
    size_t from = below(other.size()), count = 1 + below(other.size() - from);
    if (below(2)) {
      insert(other.data() + from, count);
    } else {
      size_t to = below(size);
      std::memcpy(data + to, other.data() + from, std::min(count, size - to));
    }
    break;
  }
  }
  return size;
}

void runOne(const Bytes &input, unsigned timeout) {
  current = &input;
  alarm(timeout);
  // A copy of just this size, so that a sanitizer sees reads behind it.
  Bytes copy(input);
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
  alarm(0);
  current = nullptr;
}

void addFile(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

} // namespace

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize) {
  for (size_t i = 0, count = 1 + below(4); i < count; ++i)
    size = change(data, size, maxSize);
  return size;
}

int main(int argc, char **argv) {
  if (LLVMFuzzerInitialize)
    LLVMFuzzerInitialize(&argc, &argv);
  size_t runs = 0, maxSize = 4096, seed = 1, timeout = 30;
  std::string prefix;
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    size_t equals = argument.find('=');
    if (!argument.starts_with("-")) {
      if (fs::is_directory(argument)) {
        for (const fs::directory_entry &entry : fs::recursive_directory_iterator(argument))
          if (entry.is_regular_file())
            files.push_back(entry.path());
      } else if (fs::exists(argument)) {
        files.emplace_back(argument);
      } else {
        std::fprintf(stderr, "%s: there is no file %s\n", argv[0], argv[i]);
        return 2;
      }
      continue;
    }
    std::string_view name = argument.substr(0, equals);
    const char *value = equals == argument.npos ? "" : argv[i] + equals + 1;
    if (name == "-artifact_prefix")
      prefix = value;
    else if (size_t *number = name == "-runs"      ? &runs
                              : name == "-seed"    ? &seed
                              : name == "-max_len" ? &maxSize
                              : name == "-timeout" ? &timeout
                                                   : nullptr)
      *number = std::strtoull(value, nullptr, 10);
    else {
      std::fprintf(stderr, "%s: there is no option %s\n", argv[0], argv[i]);
      return 2;
    }
  }
  std::sort(files.begin(), files.end());
  for (const fs::path &path : files)
    addFile(path);
  if (corpus.empty())
    corpus.emplace_back();

  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM})
    std::signal(signal, onSignal);
  if (__sanitizer_set_death_callback)
    __sanitizer_set_death_callback(writeCurrent);
  size_t done = 0;
  for (const Bytes &input : corpus) {
    resultPath = prefix + "crash-" + (files.empty() ? "empty" : files[done].filename().string());
    runOne(input, unsigned(timeout));
    ++done;
  }
  for (; done < runs; ++done) {
    generator.seed(seed * 1'000'003 + done);
    resultPath = prefix + "crash-" + std::to_string(seed) + "-" + std::to_string(done);
    Bytes input = corpus[below(corpus.size())];
    size_t size = std::min(input.size(), maxSize);
    input.resize(maxSize);
    size = LLVMFuzzerCustomMutator
               ? LLVMFuzzerCustomMutator(input.data(), size, maxSize, unsigned(generator()))
               : LLVMFuzzerMutate(input.data(), size, maxSize);
    input.resize(size);
    runOne(input, unsigned(timeout));
  }
  std::printf("%zu files, %zu runs\n", files.size(), done);
  return 0;
}
