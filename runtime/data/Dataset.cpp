// Measures all samples, then decodes them into one block if that fits. Invariant: samples, extents
// and offsets run in parallel, by index; an index once given out never changes its meaning.

#include "runtime/data/Dataset.h"
#include "runtime/core/Limits.h"
#include "runtime/data/DecodeGate.h"
#include "runtime/data/Parallel.h"
#include "runtime/data/Source.h"
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <optional>
#include <utility>

#include <xxhash.h>

namespace doppel::runtime {
namespace {

/// "1,234,567".
std::string grouped(uint64_t number) {
  std::string digits = fmt::format("{}", number);
  for (int at = int(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(size_t(at), 1, ',');
  return digits;
}

std::string mebibytes(uint64_t bytes) {
  return bytes < (uint64_t(1) << 34) ? fmt::format("{} MiB", grouped((bytes + (1 << 19)) >> 20))
                                     : fmt::format("{} GiB", grouped(bytes >> 30));
}

bool isShapes(const std::string &specification) {
  return specification == "shapes" || specification.starts_with("shapes:");
}

Result<void> checkFolder(const std::string &specification) {
  std::error_code code;
  std::filesystem::file_status status = std::filesystem::status(specification, code);
  if (!std::filesystem::exists(status))
    return fail("no data at {}: {}; give a folder of images, a folder with CIFAR-10 binaries, or "
                "`shapes` for the built-in data",
                specification, code ? code.message() : "there is nothing");
  if (!std::filesystem::is_directory(status))
    return fail("{} is a file; give the folder that holds the images", specification);
  return {};
}

Result<std::unique_ptr<Source>> openSource(const std::string &specification,
                                           const SourceOptions &options,
                                           std::vector<std::string> &remarks) {
  std::string cifar = isShapes(specification) ? "" : findCifar(specification);
  if (options.holdout > 0 && !options.holdoutIsOptional &&
      (isShapes(specification) || !cifar.empty()))
    return fail("{} has a test split; leave out --holdout, which is for data without one",
                specification);
  if (isShapes(specification))
    return openShapes(specification.substr(6), options.split);
  DOPPEL_CHECK(checkFolder(specification));
  if (!cifar.empty())
    return openCifar(cifar, options.split);
  return openFolder(specification, options, remarks);
}

std::function<void(int64_t, int64_t)> progressOf(const DataOptions &options,
                                                 std::string_view activity) {
  if (!options.progress)
    return {};
  return [&options, activity](int64_t done, int64_t total) {
    options.progress(activity, done, total);
  };
}

} // namespace

Dataset::~Dataset() = default;
int64_t Dataset::size() const { return int64_t(samples.size()); }
const std::vector<std::string> &Dataset::heldOut() const { return source->heldOut(); }

const std::vector<std::string> &Dataset::classNames() const {
  return labelsOf.empty() ? source->classNames() : names;
}

int32_t Dataset::label(int64_t index) const {
  int32_t label = source->label(samples[index]);
  return label < 0 || labelsOf.empty() ? label : labelsOf[size_t(label)];
}

int32_t Dataset::classesSeen() const {
  std::vector<uint8_t> seen(classNames().size());
  for (int64_t index = 0; index < size(); ++index)
    if (int32_t of = label(index); of >= 0)
      seen[size_t(of)] = 1;
  return int32_t(std::ranges::count(seen, 1));
}

Result<void> Dataset::relabel(const std::vector<std::string> &wanted) {
  const std::vector<std::string> &own = source->classNames();
  std::vector<int32_t> labels;
  for (const std::string &name : own) {
    auto found = std::ranges::find(wanted, name);
    labels.push_back(found == wanted.end() ? -1 : int32_t(found - wanted.begin()));
  }
  for (int64_t sample : samples)
    if (int32_t label = source->label(sample); label >= 0 && labels[size_t(label)] < 0)
      return fail("{} is of the class '{}', which is none of the {} classes of the training images "
                  "({}, ...)",
                  source->describe(sample), own[size_t(label)], wanted.size(),
                  wanted.empty() ? "" : wanted[0]);
  names = wanted;
  labelsOf = std::move(labels);
  return {};
}

std::string Dataset::describe(int64_t index) const { return source->describe(samples[index]); }

bool Dataset::uniformExtent() const {
  return std::adjacent_find(extents.begin(), extents.end(), std::not_equal_to()) == extents.end();
}

std::vector<BrokenFile> Dataset::broken() const {
  std::lock_guard lock(brokenMutex);
  return brokenFiles;
}

std::string describeBroken(std::span<const BrokenFile> files) {
  if (files.empty())
    return "";
  constexpr size_t kNamed = 3;
  std::string text = fmt::format("skipped {} broken {}: ", grouped(files.size()),
                                 files.size() == 1 ? "file" : "files");
  for (size_t number = 0; number < std::min(files.size(), kNamed); ++number)
    text += fmt::format("{}{}: {}", number ? "; " : "", files[number].path, files[number].reason);
  if (files.size() > kNamed)
    text += fmt::format("; and {} more", grouped(files.size() - kNamed));
  return text;
}

uint64_t Dataset::fingerprint() const {
  std::vector<uint64_t> all(samples.size());
  parallelFor(size(), threads,
              [&](int64_t index) { all[index] = source->identity(samples[index]); });
  return XXH3_64bits(all.data(), all.size() * sizeof(all[0]));
}

std::string Dataset::summary() const {
  std::lock_guard lock(brokenMutex);
  size_t replaced = size_t(std::ranges::count(knownBroken, 1));
  uint64_t good = uint64_t(size()) - replaced;
  std::string text = grouped(good) + (good == 1 ? " image" : " images");
  if (int32_t count = classesSeen())
    text += fmt::format(" of {} {}", count, count == 1 ? "class" : "classes");
  if (uniformExtent())
    text += fmt::format(", {} x {}", extents[0].width, extents[0].height);
  else
    text += ", of several sizes";
  text +=
      fmt::format(", {} {}", mebibytes(totalBytes), inMemory() ? "in memory" : "decoded as needed");
  if (size_t others = heldOut().size())
    text += fmt::format(" ({} more held out)", grouped(others));
  if (size_t count = brokenFiles.size())
    text += fmt::format("; {} broken {} skipped", count, count == 1 ? "file" : "files");
  if (replaced)
    text += fmt::format(" (others stand in for {} of them)", replaced);
  return text;
}

void Dataset::measure(const DataOptions &options) {
  samples.resize(size_t(source->size()));
  extents.resize(samples.size());
  std::vector<uint8_t> good(samples.size());
  std::vector<std::string> reasons(samples.size());
  for (size_t index = 0; index < samples.size(); ++index)
    samples[index] = int64_t(index);
  parallelFor(
      size(), threads,
      [&](int64_t index) {
        Result<Extent> extent = source->probe(index);
        good[index] = extent.has_value();
        if (extent)
          extents[index] = *extent;
        else
          reasons[index] = std::move(extent.error().message);
      },
      progressOf(options, "measuring"));
  size_t kept = 0;
  for (size_t index = 0; index < samples.size(); ++index) {
    if (!good[index]) {
      brokenFiles.push_back({source->describe(int64_t(index)), std::move(reasons[index])});
      continue;
    }
    samples[kept] = samples[index];
    extents[kept] = extents[index];
    ++kept;
  }
  samples.resize(kept);
  extents.resize(kept);
  for (Extent extent : extents)
    totalBytes += extent.bytes();
}

void Dataset::decodeAll(const DataOptions &options) {
  offsets.resize(samples.size());
  uint64_t offset = 0;
  for (size_t index = 0; index < samples.size(); ++index) {
    offsets[index] = offset;
    offset += extents[index].bytes();
  }
  pixelBytes = offset + abi::imagePadding;
  pixels = std::make_unique_for_overwrite<uint8_t[]>(pixelBytes);
  std::vector<std::string> reasons(samples.size());
  parallelFor(
      size(), threads,
      [&](int64_t index) {
        DecodeGate::Pass pass = gate->enter(extents[index]);
        Result<void> decoded =
            source->decode(samples[index], extents[index], pixels.get() + offsets[index]);
        knownBroken[index] = !decoded;
        if (!decoded)
          reasons[index] = std::move(decoded.error().message);
      },
      progressOf(options, "decoding"));
  for (size_t index = 0; index < samples.size(); ++index)
    if (knownBroken[index])
      brokenFiles.push_back({describe(int64_t(index)), std::move(reasons[index])});
}

Result<Batch> Dataset::prepare(std::span<const int64_t> indices) const {
  Batch batch;
  batch.refs.reserve(indices.size());
  uint64_t end = 0;
  for (int64_t index : indices) {
    if (index < 0 || index >= size())
      return failInternal("sample {} of a data set of {}", index, size());
    while (inMemory() && knownBroken[index])
      index = (index + 1) % size();
    const Extent &extent = extents[index];
    batch.refs.push_back({inMemory() ? offsets[index] : end, extent.height, extent.width, index});
    end += extent.bytes();
  }
  if (inMemory()) {
    batch.bytes = {pixels.get(), pixelBytes};
    return batch;
  }
  DOPPEL_TRY(batch.owned, pool->take(end + abi::imagePadding));
  batch.bytes = {batch.owned.get(), end + abi::imagePadding};
  batch.spilled.resize(indices.size());
  return batch;
}

Result<void> Dataset::decode(Batch &batch, int64_t position) const {
  abi::ImageRef &image = batch.refs[size_t(position)];
  std::vector<uint8_t> &spilled = batch.spilled[size_t(position)];
  int64_t index = image.index;
  size_t room = extents[index].bytes();
  for (int64_t tried = 0; tried < size(); ++tried, index = (index + 1) % size()) {
    {
      std::lock_guard lock(brokenMutex);
      if (knownBroken[index])
        continue;
    }
    Extent extent = extents[index];
    spilled.resize(extent.bytes() > room ? extent.bytes() : 0);
    uint8_t *target = spilled.empty() ? batch.owned.get() + image.offset : spilled.data();
    Result<void> decoded;
    {
      DecodeGate::Pass pass = gate->enter(extent);
      decoded = source->decode(samples[index], extent, target);
    }
    if (decoded) {
      image = {image.offset, extent.height, extent.width, index};
      return {};
    }
    std::lock_guard lock(brokenMutex);
    if (!std::exchange(knownBroken[index], 1))
      brokenFiles.push_back({describe(index), std::move(decoded.error().message)});
  }
  std::lock_guard lock(brokenMutex);
  return fail("all {} images are broken; the first: {}: {}", size(), brokenFiles[0].path,
              brokenFiles[0].reason);
}

Result<void> Dataset::finish(Batch &batch) const {
  bool fits = std::ranges::all_of(batch.spilled, [](const auto &pixels) { return pixels.empty(); });
  if (!fits) {
    uint64_t end = 0;
    for (const abi::ImageRef &image : batch.refs)
      end += Extent{image.height, image.width}.bytes();
    DOPPEL_TRY(std::shared_ptr<uint8_t> wider, pool->take(end + abi::imagePadding));
    end = 0;
    for (size_t at = 0; at < batch.refs.size(); ++at) {
      abi::ImageRef &image = batch.refs[at];
      size_t bytes = Extent{image.height, image.width}.bytes();
      const uint8_t *pixels =
          batch.spilled[at].empty() ? batch.owned.get() + image.offset : batch.spilled[at].data();
      std::copy_n(pixels, bytes, wider.get() + end);
      image.offset = end;
      end += bytes;
    }
    batch.owned = std::move(wider);
    batch.bytes = {batch.owned.get(), end + abi::imagePadding};
  }
  batch.spilled = {};
  return {};
}

uint64_t Dataset::decodedBytes(std::span<const int64_t> indices) const {
  uint64_t bytes = 0;
  if (!inMemory())
    for (int64_t index : indices)
      bytes += extents[index].bytes();
  return bytes;
}

int64_t Dataset::fitting(int64_t first, int64_t most) const {
  most = std::min(most, size() - first);
  if (inMemory())
    return most;
  uint64_t bytes = 0, beyond = 0;
  for (int64_t count = 0; count < most; ++count) {
    bytes += extents[first + count].bytes();
    beyond = std::max(beyond, gate->beyond(extents[first + count]));
    if (bytes + beyond > bytesForBatches)
      return std::max<int64_t>(count, 1);
  }
  return most;
}

Result<void> Dataset::admit(std::span<const int64_t> indices) const {
  if (inMemory() || indices.empty())
    return {};
  int64_t largest =
      *std::ranges::max_element(indices, {}, [&](int64_t index) { return extents[index].bytes(); });
  uint64_t bytes = decodedBytes(indices) + gate->beyond(extents[largest]);
  if (bytes <= bytesForBatches)
    return {};
  return fail("to decode {} images takes {}, and there are {} of memory for it; take a smaller "
              "batch or smaller pictures ({} is {} x {})",
              indices.size(), mebibytes(bytes), mebibytes(bytesForBatches), describe(largest),
              extents[largest].width, extents[largest].height);
}

Result<Batch> Dataset::gather(std::span<const int64_t> indices) const {
  DOPPEL_CHECK(admit(indices));
  DOPPEL_TRY(Batch batch, prepare(indices));
  if (inMemory())
    return batch;
  std::vector<std::optional<Error>> errors(indices.size());
  parallelFor(batch.size(), threads, [&](int64_t position) {
    if (auto decoded = decode(batch, position); !decoded)
      errors[size_t(position)] = std::move(decoded.error());
  });
  for (std::optional<Error> &error : errors)
    if (error)
      return std::unexpected(*std::move(error));
  DOPPEL_CHECK(finish(batch));
  return batch;
}

Result<Batch> Dataset::range(int64_t first, int64_t count) const {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  for (int64_t position = 0; position < count; ++position)
    indices[position] = first + position;
  return gather(indices);
}

Result<void> checkDataset(const std::string &specification) {
  if (!isShapes(specification))
    return checkFolder(specification);
  auto source = openShapes(specification.substr(6), Split::Train);
  return source ? Result<void>() : std::unexpected(std::move(source.error()));
}

Result<std::unique_ptr<Dataset>> openDataset(const std::string &specification, Split split,
                                             const DataOptions &options) {
  std::unique_ptr<Dataset> dataset(new Dataset);
  dataset->threads = threadCount(options.threads);
  DOPPEL_TRY(dataset->source,
             openSource(specification,
                        {split, options.holdout, options.holdoutIsOptional, dataset->threads},
                        dataset->leftOut));
  dataset->measure(options);
  uint64_t available = availableMemory();
  uint64_t kept = options.memoryBytes ? options.memoryBytes : available / 2;
  dataset->bytesForBatches =
      options.batchBytes ? options.batchBytes : std::max<uint64_t>(available / 4 * 3, 64 << 20);
  dataset->gate = std::make_unique<DecodeGate>(dataset->bytesForBatches / 3);
  dataset->pool = std::make_unique<SlabPool>(options.allocate);
  uint64_t beyond = 0;
  for (Extent extent : dataset->extents)
    beyond = std::max(beyond, dataset->gate->beyond(extent));
  dataset->knownBroken.resize(dataset->samples.size());
  if (dataset->size() > 0 && dataset->totalBytes + beyond <= kept)
    dataset->decodeAll(options);
  if (std::ranges::find(dataset->knownBroken, 0) == dataset->knownBroken.end()) {
    const std::vector<BrokenFile> &broken = dataset->brokenFiles;
    return fail("{}: none of its {} files is an image that can be read; the first: {}: {}",
                specification, broken.size(), broken[0].path, broken[0].reason);
  }
  return dataset;
}

} // namespace doppel::runtime
