// The file: magic, xxh64 of all that follows, the kind's name, then (key, plan) until the end; each
// text or plan is its number of bytes (32 bits, little-endian) and these.
#include "runtime/device/cuda/PlanCache.h"

#include "runtime/core/File.h"

#include <cstring>
#include <optional>
#include <xxhash.h>

namespace doppel::runtime::cuda {

namespace {

constexpr std::string_view magic = "DPLPLAN1";
constexpr size_t headBytes = magic.size() + sizeof(uint64_t);

void put(std::string &file, std::string_view bytes) {
  uint32_t size = uint32_t(bytes.size());
  file.append(reinterpret_cast<const char *>(&size), sizeof size).append(bytes);
}

/// Cuts the next bytes off the front of `rest`; none where it ends before.
std::optional<std::string_view> take(std::string_view &rest) {
  uint32_t size;
  if (rest.size() < sizeof size)
    return std::nullopt;
  std::memcpy(&size, rest.data(), sizeof size);
  rest.remove_prefix(sizeof size);
  if (rest.size() < size)
    return std::nullopt;
  std::string_view bytes = rest.substr(0, size);
  rest.remove_prefix(size);
  return bytes;
}

} // namespace

std::string PlanKind::name() const {
  return fmt::format("cudnn-{}-sm_{}-{}", cudnn, architecture, multiprocessors);
}

std::filesystem::path PlanCache::pathOf(const std::filesystem::path &artifact,
                                        const PlanKind &kind) {
  std::filesystem::path path = artifact;
  path += "." + kind.name() + ".plans";
  return path;
}

PlanCache::PlanCache(std::filesystem::path path, PlanKind kind)
    : path(std::move(path)), kind(std::move(kind)) {
  std::error_code ignored;
  if (!std::filesystem::exists(this->path, ignored))
    return;
  if (auto done = read(); !done) {
    plans.clear();
    remark_ = fmt::format("{} is not used, and plans are chosen anew: {}", this->path.string(),
                          done.error().message);
  }
}

Result<void> PlanCache::read() {
  DOPPEL_TRY(std::string file, readFile(path, uint64_t(1) << 30));
  if (file.size() < headBytes || !file.starts_with(magic))
    return fail("it holds no plans");
  std::string_view rest = std::string_view(file).substr(headBytes);
  uint64_t checksum;
  std::memcpy(&checksum, file.data() + magic.size(), sizeof checksum);
  if (XXH64(rest.data(), rest.size(), 0) != checksum)
    return fail("its bytes have changed since it was written");
  std::optional<std::string_view> name = take(rest);
  if (!name || *name != kind.name())
    return fail("its plans are for {}, this is {}", name.value_or("nothing"), kind.name());
  while (!rest.empty()) {
    std::optional<std::string_view> key = take(rest), plan = take(rest);
    if (!key || !plan)
      return fail("it ends in the middle of a plan");
    plans.emplace(*key, std::vector<uint8_t>(plan->begin(), plan->end()));
  }
  return {};
}

Result<std::unique_ptr<ConvolutionPlan>>
PlanCache::plan(Cudnn &cudnn, const Convolution &convolution, size_t workspaceLimit,
                const std::function<Result<bool>(ConvolutionPlan &)> &accept) {
  if (auto kept = plans.find(convolution.key()); kept != plans.end()) {
    auto restored = cudnn.restore(convolution, kept->second);
    if (restored && (*restored)->workspaceBytes() <= workspaceLimit)
      return restored;
  }
  DOPPEL_TRY(std::unique_ptr<ConvolutionPlan> chosen,
             cudnn.choose(convolution, workspaceLimit, accept));
  // A plan that cuDNN does not write is one that the next run chooses again.
  if (auto bytes = chosen->serialize()) {
    plans.insert_or_assign(convolution.key(), *std::move(bytes));
    changed = true;
  }
  return chosen;
}

Result<void> PlanCache::save() {
  if (!changed)
    return {};
  std::string file(headBytes, '\0');
  put(file, kind.name());
  for (const auto &[key, plan] : plans) {
    put(file, key);
    put(file, {reinterpret_cast<const char *>(plan.data()), plan.size()});
  }
  uint64_t checksum = XXH64(file.data() + headBytes, file.size() - headBytes, 0);
  std::memcpy(file.data(), magic.data(), magic.size());
  std::memcpy(file.data() + magic.size(), &checksum, sizeof checksum);
  DOPPEL_CHECK(writeFileAtomically(path, bytesOf(file)));
  changed = false;
  return {};
}

} // namespace doppel::runtime::cuda
