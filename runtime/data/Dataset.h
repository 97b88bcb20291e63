// One split of a data set: samples 0 .. size()-1 with labels, decoded once and kept in memory where
// they fit, else decoded on demand. Which sample has which index depends on the data alone, never
// on threads or memory.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/data/Image.h"
#include "runtime/schema/Abi.h"
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::runtime {

class Source;

/// Train: what a run learns from, and the bank of kNN. Test: what kNN classifies.
enum class Split { Train, Test };

/// A file (or a record of one) that gave no sample.
struct BrokenFile {
  std::string path;
  std::string reason;
};

struct DataOptions {
  /// Decoded samples are kept if they take at most this many bytes; 0: half of the memory that is
  /// available now.
  uint64_t memoryBytes = 0;
  /// Threads that decode; 0: one a processor of this process.
  int threads = 0;
  /// Called now and then on the opening thread, and at the end of each activity: "measuring"
  /// (headers), then "decoding" where the data are kept in memory.
  std::function<void(std::string_view activity, int64_t done, int64_t total)> progress = {};
};

/// Decoded images that stay where they are as long as the batch lives. Movable.
class Batch {
public:
  std::span<const abi::ImageRef> images() const { return refs; }
  int64_t size() const { return int64_t(refs.size()); }

private:
  friend class Dataset;
  friend class Loader;
  std::vector<abi::ImageRef> refs;
  std::vector<std::vector<uint8_t>> owned; ///< empty where the data set itself holds the pixels
};

class Dataset {
public:
  ~Dataset();

  /// Number of samples, broken ones left out.
  int64_t size() const;
  /// In the order of the labels; empty for data without classes.
  const std::vector<std::string> &classNames() const;
  /// 0 .. classNames().size()-1, or -1 for data without classes.
  int32_t label(int64_t index) const;
  /// The sample's file, for messages.
  std::string describe(int64_t index) const;
  Extent extent(int64_t index) const { return extents[index]; }
  /// True if all samples have one extent.
  bool uniformExtent() const;

  /// Whether all pixels are in memory, and how many bytes all of them take (or would take).
  bool inMemory() const { return bool(pixels); }
  uint64_t decodedBytes() const { return totalBytes; }

  /// What was skipped so far. Data kept in memory is known whole when it is opened; otherwise
  /// samples that turn out to be broken while they are read are added then. Safe to call while
  /// others read.
  std::vector<BrokenFile> broken() const;

  /// Equal for the same pictures with the same labels in the same order, wherever they lie: of the
  /// names and sizes of files, of the records of CIFAR-10, or of what draws the shapes.
  uint64_t fingerprint() const;

  /// "50,000 images of 10 classes, 32 x 32, 146 MiB in memory; 3 broken files skipped", for tables
  /// and logs.
  std::string summary() const;

  /// The samples `indices`, in that order. Those not in memory are decoded now, on several threads.
  ///
  /// A sample that proves to be broken here (its header was good, its body is not) is replaced by
  /// the next good one, index + 1, + 2, ..., so that a batch is always whole; the ImageRef then
  /// carries the replacement's index. Fails only if no sample is good.
  Result<Batch> gather(std::span<const int64_t> indices) const;
  /// Samples first .. first+count-1.
  Result<Batch> range(int64_t first, int64_t count) const;
  /// One sample as gather() gives it; `storage` holds its pixels where the data set does not.
  Result<abi::ImageRef> fetch(int64_t index, std::vector<uint8_t> &storage) const;

private:
  friend Result<std::unique_ptr<Dataset>> openDataset(const std::string &, Split,
                                                      const DataOptions &);
  Dataset() = default;
  void measure(const DataOptions &options);
  void decodeAll(const DataOptions &options);
  void keepOnly(const std::vector<uint8_t> &good);
  const uint8_t *pixelsOf(int64_t index) const { return pixels.get() + offsets[index]; }

  std::unique_ptr<Source> source;
  std::vector<int64_t> samples;  ///< index -> sample of the source
  std::vector<Extent> extents;   ///< by index
  std::vector<uint64_t> offsets; ///< by index, into `pixels`
  std::unique_ptr<uint8_t[]> pixels;
  uint64_t totalBytes = 0;
  int threads = 1;

  mutable std::mutex brokenMutex;
  mutable std::vector<BrokenFile> brokenFiles;
  mutable std::vector<uint8_t> knownBroken; ///< by index, of those found while reading
};

/// Opens one split of the data set that `specification` names:
///
/// - `shapes`, `shapes:N`, `shapes:N,size=S,test=M,seed=K`: the procedural data set built in: N
/// training samples (10,000), M test
///   samples (2,000), S x S pixels (32). A folder of this name is reached as `./shapes`.
/// - a folder with CIFAR-10 binaries (data_batch_1.bin ..., test_batch.bin), or with
/// cifar-10-batches-bin in it;
/// - a folder with `train` and `test` (or `val`) in it, each as in the next two;
/// - a folder of class subfolders: classes are the subfolders by name; files are found at any
/// depth. One file in ten of each class (at
///   least one of two or more), chosen by a hash of its path below the class, is the test split,
///   the others the training split;
/// - a flat folder of images: no classes, all of them training data; opening its test split fails.
///
/// Images are JPEG and PNG, told by their content. Other files, and broken ones, are skipped and
/// named in broken(). Fails, naming the path and what would help, if the folder is missing or
/// unreadable, holds no image, or all images are broken.
Result<std::unique_ptr<Dataset>> openDataset(const std::string &specification, Split split,
                                             const DataOptions &options = {});

} // namespace doppel::runtime
