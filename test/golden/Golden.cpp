// doppel-golden: runs an artifact from the states of a golden file and compares what comes out.
//
//   doppel-golden ARTIFACT GOLDEN               ten steps: every loss to 1e-4 relative, every state
//   at the end doppel-golden ARTIFACT GOLDEN --gradients   one step: every gradient to 1e-3 by norm
//
// The artifact's views are states (given_views.py), so that each step sees the golden file's.
// Gradients are read from the momentum, which after one step of SGD without weight decay is the
// gradient.
#include "runtime/core/Safetensors.h"
#include "runtime/executor/Executable.h"
#include "runtime/schema/Abi.h"

#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

using namespace doppel;
using namespace doppel::runtime;

namespace {

constexpr double kLossTolerance = 1e-4;     // relative
constexpr double kGradientTolerance = 1e-3; // of the norm
constexpr double kStateTolerance = 2e-3;    // of the norm
constexpr double kNothing = 1e-6; // of the norm of all gradients: one that ought to be zero

/// A golden file.
class Golden {
public:
  explicit Golden(Safetensors file) : file(std::move(file)) {}

  const std::string &metadata(const char *key) const { return file.metadata().at(key); }
  bool has(const std::string &name) const { return file.find(name) != nullptr; }

  std::vector<std::string> names(const std::string &prefix) const {
    std::vector<std::string> found;
    for (const TensorEntry &entry : file.tensors())
      if (entry.name.starts_with(prefix))
        found.push_back(entry.name.substr(prefix.size()));
    return found;
  }

  std::string_view raw(const std::string &name) const { return file.bytes(*file.find(name)); }

  template <typename T> std::vector<T> values(const std::string &name) const {
    std::string_view view = raw(name);
    std::vector<T> result(view.size() / sizeof(T));
    std::memcpy(result.data(), view.data(), result.size() * sizeof(T));
    return result;
  }

private:
  Safetensors file;
};

double norm(const std::vector<float> &values) {
  double sum = 0;
  for (double value : values)
    sum += value * value;
  return std::sqrt(sum);
}

double distance(const std::vector<float> &a, const std::vector<float> &b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    sum += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
  return a.size() == b.size() ? std::sqrt(sum) : INFINITY;
}

class Check {
public:
  Check(const Golden &golden, Executable &executable) : golden(golden), executable(executable) {
    for (size_t i = 0; i < executable.states().size(); ++i)
      index[executable.states()[i].name] = i;
  }

  /// Every state from the file; all but the moments and views of the program must be there.
  Result<void> start() {
    DOPPEL_TRY(auto failure, executable.run("init"));
    std::vector<std::string> given = golden.names("state/"), views = golden.names("view/0/");
    for (const std::string &name : given)
      DOPPEL_CHECK(write(name, golden.raw("state/" + name)));
    for (const StateInfo &state : executable.states())
      if (state.kind != schema::StateKind::Moment && !golden.has("state/" + state.name) &&
          !golden.has("view/0/" + state.name))
        return fail("the golden file has no state {}", state.name);
    return {};
  }

  Result<double> step(int64_t number) {
    for (const std::string &view : golden.names("view/0/"))
      DOPPEL_CHECK(write(view, golden.raw(fmt::format("view/{}/{}", number, view))));
    std::vector<uint8_t> pixels(8 * 8 * 3);
    std::vector<abi::ImageRef> images(size_t(executable.batch()));
    for (abi::ImageRef &image : images)
      image = {pixels.data(), 8, 8, 0};
    DOPPEL_CHECK(executable.setImages(images));
    int64_t samples = std::stoll(golden.metadata("samples"));
    int64_t epochs = nlohmann::json::parse(golden.metadata("settings"))["epochs"];
    DOPPEL_CHECK(executable.setRun({.seed = 0,
                                    .step = number,
                                    .stepsPerEpoch = samples / executable.batch(),
                                    .epochs = epochs,
                                    .samples = samples}));
    DOPPEL_TRY(auto failure, executable.run("step"));
    if (failure)
      return fail("the {} is not finite at step {}", failure->what, number);
    DOPPEL_TRY(std::vector<float> loss, executable.output("step", "loss"));
    return loss.at(0);
  }

  Result<bool> losses() {
    std::vector<double> expected = golden.values<double>("loss");
    bool good = true;
    double greatest = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      DOPPEL_TRY(double loss, step(int64_t(i)));
      double error = std::abs(loss - expected[i]) / std::abs(expected[i]);
      greatest = std::max(greatest, std::isnan(error) ? INFINITY : error);
      if (!(error <= kLossTolerance)) {
        fmt::print("step {}: loss {:.7f}, golden {:.7f}, apart by {:.1e}\n", i, loss, expected[i],
                   error);
        good = false;
      }
    }
    fmt::print("losses: {} steps, greatest error {:.1e}\n", expected.size(), greatest);
    DOPPEL_TRY(bool states, compare("final/", "", kStateTolerance, "states"));
    return good && states;
  }

  Result<bool> gradients() {
    DOPPEL_TRY(double loss, step(0));
    (void)loss;
    return compare("grad/", ".momentum", kGradientTolerance, "gradients");
  }

private:
  Result<void> write(const std::string &name, std::string_view bytes) {
    auto found = index.find(name);
    if (found == index.end())
      return fail("the artifact has no state {}", name);
    std::vector<int32_t> counts; // golden files have numbers of one kind, f32
    if (executable.states()[found->second].dtype == schema::DType::I32) {
      std::vector<float> values(bytes.size() / sizeof(float));
      std::memcpy(values.data(), bytes.data(), bytes.size());
      counts.assign(values.begin(), values.end());
      bytes = {reinterpret_cast<const char *>(counts.data()), counts.size() * sizeof(int32_t)};
    }
    if (executable.states()[found->second].bytes != bytes.size())
      return fail("state {} has {} bytes in the artifact and {} in the golden file", name,
                  executable.states()[found->second].bytes, bytes.size());
    return executable.writeState(found->second, std::as_bytes(std::span(bytes)));
  }

  Result<std::vector<float>> read(const std::string &name) {
    auto found = index.find(name);
    if (found == index.end())
      return fail("the artifact has no state {}", name);
    DOPPEL_TRY(std::vector<std::byte> bytes, executable.readState(found->second));
    if (executable.states()[found->second].dtype == schema::DType::I32) {
      std::vector<int32_t> counts(bytes.size() / sizeof(int32_t));
      std::memcpy(counts.data(), bytes.data(), bytes.size());
      return std::vector<float>(counts.begin(), counts.end());
    }
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  /// Each tensor PREFIX + name of the file with the state name + SUFFIX, by norm.
  Result<bool> compare(const std::string &prefix, const std::string &suffix, double tolerance,
                       const char *what) {
    double total = 0, greatest = 0;
    std::vector<std::string> names = golden.names(prefix);
    for (const std::string &name : names)
      total += std::pow(norm(golden.values<float>(prefix + name)), 2);
    bool good = !names.empty();
    for (const std::string &name : names) {
      std::vector<float> expected = golden.values<float>(prefix + name);
      DOPPEL_TRY(std::vector<float> actual, read(name + suffix));
      double scale = std::max(norm(expected), kNothing / tolerance * std::sqrt(total));
      double error = distance(actual, expected) / scale;
      greatest = std::max(greatest, std::isnan(error) ? INFINITY : error);
      if (!(error <= tolerance)) {
        fmt::print("{}{}: norm {:.6g}, golden {:.6g}, apart by {:.1e}\n", prefix, name,
                   norm(actual), norm(expected), error);
        good = false;
      }
    }
    fmt::print("{}: {}, greatest error {:.1e}\n", what, names.size(), greatest);
    return good;
  }

  const Golden &golden;
  Executable &executable;
  std::map<std::string, size_t> index;
};

Result<bool> run(const std::string &artifactPath, const std::string &goldenPath, bool gradients) {
  DOPPEL_TRY(Safetensors file, Safetensors::load(goldenPath));
  Golden golden(std::move(file));
  DOPPEL_TRY(Artifact artifact, Artifact::load(artifactPath));
  auto device = makeCpuDevice();
  DOPPEL_TRY(auto executable, Executable::create(artifact, *device));
  Check check(golden, *executable);
  DOPPEL_CHECK(check.start());
  return gradients ? check.gradients() : check.losses();
}

} // namespace

int main(int argc, char **argv) {
  bool gradients = argc == 4 && std::string_view(argv[3]) == "--gradients";
  if (argc != 3 && !gradients) {
    fmt::print(stderr, "usage: doppel-golden ARTIFACT GOLDEN [--gradients]\n");
    return 2;
  }
  auto good = run(argv[1], argv[2], gradients);
  if (!good)
    fmt::print(stderr, "doppel-golden: {}\n", good.error().message);
  return good && *good ? 0 : 1;
}
