// doppel-cudnn-plans [--workspace MIB] PLAN...: chooses cuDNN's plans for every convolution of
// programs in the text of `doppel compile --target cuda --emit plan`, for GPUs that are not there.
// Prints one line an architecture and precision; fails where a convolution has no plan.
// doppel-cudnn-plans --here: whether cuDNN is.
#include "Gpus.h"
#include "runtime/device/cuda/Calls.h"

#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>

using namespace doppel::runtime;
using namespace doppel::runtime::cuda;

namespace {

std::vector<int64_t> numbers(const std::string &text) {
  std::vector<int64_t> list;
  for (size_t at = 0; (at = text.find_first_of("-0123456789", at)) != std::string::npos;) {
    int64_t number = 0;
    const char *end = std::from_chars(text.data() + at, text.data() + text.size(), number).ptr;
    list.push_back(number);
    at = size_t(end - text.data());
  }
  return list;
}

/// Of a tensor "8x32x32x64xf32".
std::vector<int64_t> shapeOf(const std::string &type) {
  return numbers(type.substr(0, type.rfind('x')));
}

/// Adds the convolutions of a plan's text; false, and a word on stderr, where it has none, or a
/// call of one cannot be read.
bool addConvolutions(const char *path, std::map<std::string, Convolution> &convolutions) {
  std::ifstream file(path);
  static const std::regex call(
      R"(plan\.call +conv2d(_backward_data|_backward_weights)?\([^)]*\) -> \([^)]*\) \[([-0-9, ]*)\](?: \{[^}]*\})? : \((.*)\) -> (.*))");
  static const std::regex tensor(R"(tensor<([0-9x]+xf32)>)");
  size_t found = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.find("plan.call") == std::string::npos || line.find("conv2d") == std::string::npos)
      continue;
    std::smatch parts;
    Result<Convolution> convolution = fail("");
    if (std::regex_search(line, parts, call)) {
      std::string types = parts.str(3) + " " + parts.str(4);
      CallShapes shapes;
      for (std::sregex_iterator type(types.begin(), types.end(), tensor), end; type != end; ++type)
        shapes.push_back(shapeOf(type->str(1)));
      using enum doppel::schema::LibraryOp;
      convolution = convolutionOf(parts.str(1).empty()               ? Conv2D
                                  : parts.str(1) == "_backward_data" ? Conv2DBackwardData
                                                                     : Conv2DBackwardWeights,
                                  shapes, numbers(parts.str(2)), doppel::schema::Precision::F32);
    }
    if (!convolution) {
      fmt::print(stderr, "{}: not read: {}\n", path, line);
      return false;
    }
    ++found;
    convolutions.emplace(convolution->key(), *convolution);
  }
  if (!found)
    fmt::print(stderr, "{}: no convolution is in it\n", path);
  return found;
}

/// Chooses a plan for each; how many have none.
size_t choosePlans(Cudnn &cudnn, const GpuDescription &gpu, bool tf32, size_t workspaceLimit,
                   const std::map<std::string, Convolution> &convolutions) {
  if (auto done = cudnn.describe(gpu); !done) {
    fmt::print(stderr, "{}\n", done.error().message);
    return convolutions.size();
  }
  size_t without = 0, largest = 0;
  for (const auto &[key, convolution] : convolutions) {
    Convolution wanted = convolution;
    wanted.tf32 = tf32;
    auto plan = cudnn.choose(wanted, workspaceLimit,
                             [](ConvolutionPlan &) -> Result<bool> { return true; });
    if (!plan) {
      ++without;
      fmt::print(stderr, "sm_{}: {}\n", gpu.architecture, plan.error().message);
      continue;
    }
    largest = std::max(largest, (*plan)->workspaceBytes());
  }
  fmt::print("sm_{} {}: {} convolutions, {} without a plan, at most {} MiB of workspace\n",
             gpu.architecture, tf32 ? "tf32" : "f32", convolutions.size(), without,
             (largest + (1 << 20) - 1) >> 20);
  std::fflush(stdout);
  return without;
}

} // namespace

int main(int count, char **arguments) {
  std::vector<std::string> rest(arguments + 1, arguments + count);
  auto cudnn = Cudnn::open(usualSearch());
  if (!cudnn) {
    fmt::print(stderr, "{}\n", cudnn.error().message);
    return 1;
  }
  if (rest.size() == 1 && rest[0] == "--here")
    return 0;
  size_t workspaceLimit = size_t(256) << 20;
  if (rest.size() > 1 && rest[0] == "--workspace") {
    workspaceLimit = std::stoul(rest[1]) << 20;
    rest.erase(rest.begin(), rest.begin() + 2);
  }
  std::map<std::string, Convolution> convolutions;
  for (const std::string &path : rest)
    if (!addConvolutions(path.c_str(), convolutions))
      return 1;
  size_t without = 0;
  for (const GpuDescription &gpu : doppel::test::gpus)
    for (bool tf32 : {false, true})
      without += choosePlans(**cudnn, gpu, tf32, workspaceLimit, convolutions);
  return convolutions.empty() || without ? 1 : 0;
}
