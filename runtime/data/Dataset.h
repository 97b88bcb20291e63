// One split of a data set: samples 0 .. size()-1 with labels, decoded once and kept in memory where
// they fit, else decoded on demand. Which sample has which index, and which stands in for one that
// is broken, depends on the data alone, never on threads or memory.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/data/Image.h"
#include "runtime/data/SlabPool.h"
#include "runtime/schema/Abi.h"
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::runtime {

class DecodeGate;
class Source;

enum class Split {
  Train,     ///< what a run learns from, and the bank of kNN
  Test,      ///< what kNN classifies
  TestOrAll, ///< the test split of data that have one, else all of them
};

/// A file (or a record of one) that gave no sample.
struct BrokenFile {
  std::string path;
  std::string reason;
};

/// "skipped 4 broken files: a.jpg: broken JPEG: ...; b.png: ...; c.jpg: ...; and 1 more"; empty
/// where there are none.
std::string describeBroken(std::span<const BrokenFile> files);

struct DataOptions {
  /// Of data without a test split: the fraction, 0 to below 1, that training leaves out and that is
  /// then the test split. Each image is in it or not by a hash of its own name, so neither other
  /// files nor the order in which they are read decide. Fails for data that have a test split.
  double holdout = 0;
  bool holdoutIsOptional = false; ///< data with a test split are no error, but split as they are
  /// Decoded samples are kept if they take at most this many bytes; 0: half of the memory that is
  /// available now.
  uint64_t memoryBytes = 0;
  /// Where they are not kept, a batch takes at most this many bytes, those decoded ahead half of
  /// it, and what decoders take besides a third; 0: three quarters of the memory that is available
  /// now, at least 64 MiB.
  uint64_t batchBytes = 0;
  /// Threads that decode; 0: one a processor of this process.
  int threads = 0;
  /// Where they are not kept: of what batches are decoded into. Absent: the heap.
  HostAllocator allocate = {};
  /// Called now and then on the opening thread, and at the end of each activity: "measuring"
  /// (headers), then "decoding" where the data are kept in memory.
  std::function<void(std::string_view activity, int64_t done, int64_t total)> progress = {};
};

/// Images in a slab of decoded pixels that stays as long as the batch lives. Movable.
class Batch {
public:
  /// Where each lies in the slab.
  std::span<const abi::ImageRef> images() const { return refs; }
  int64_t size() const { return int64_t(refs.size()); }
  Picture picture(int64_t at) const {
    const abi::ImageRef &image = refs[size_t(at)];
    return {bytes.data() + image.offset, {image.height, image.width}};
  }

  /// From now on there are `size` images: those there are, over and over.
  void repeatTo(int64_t size) {
    for (size_t at = 0; size_t(size) > refs.size(); ++at)
      refs.push_back(abi::ImageRef(refs[at]));
  }

  /// What the images count from, with abi::imagePadding: all pixels of a data set that is kept in
  /// memory, else those of this batch.
  std::span<const uint8_t> slab() const { return bytes; }
  /// Whether the slab is that of every batch of the data set.
  bool sharesSlab() const { return !owned; }

private:
  friend class Dataset;
  friend class Loader;
  std::vector<abi::ImageRef> refs;
  std::span<const uint8_t> bytes;
  std::shared_ptr<uint8_t> owned; ///< null where the data set itself holds the pixels
  /// By image: the pixels of one that stands in for a broken one and is larger than its room.
  std::vector<std::vector<uint8_t>> spilled;
};

class Dataset {
public:
  ~Dataset();

  /// Number of samples, without those whose header is broken. Those whose pixels are broken count,
  /// whether they are known or not: gather() puts others in their place.
  int64_t size() const;
  /// In the order of the labels; empty for data without classes.
  const std::vector<std::string> &classNames() const;
  /// 0 .. classNames().size()-1, or -1 for data without classes.
  int32_t label(int64_t index) const;
  /// Classes that have samples.
  int32_t classesSeen() const;
  /// From now on labels are those of `names`. Fails, naming it, if a class that has samples is not
  /// among them.
  Result<void> relabel(const std::vector<std::string> &names);
  /// The sample's file, for messages.
  std::string describe(int64_t index) const;
  Extent extent(int64_t index) const { return extents[index]; }
  /// True if all samples have one extent.
  bool uniformExtent() const;

  /// Whether all pixels are in memory, and how many bytes all of them take (or would take).
  bool inMemory() const { return bool(pixels); }
  uint64_t decodedBytes() const { return totalBytes; }
  /// The slab of every batch, where all pixels are in memory; else empty.
  std::span<const uint8_t> keptPixels() const { return {pixels.get(), pixelBytes}; }

  /// What was skipped so far. Data kept in memory is known whole when it is opened; otherwise
  /// samples that turn out to be broken while they are read are added then. Safe to call while
  /// others read.
  std::vector<BrokenFile> broken() const;
  /// Sentences on what else was left out when the data were opened: files that are no images,
  /// counted by kind, folders beside the splits, links in circles.
  const std::vector<std::string> &remarks() const { return leftOut; }
  /// Of a training split, the names of the files that DataOptions::holdout left out.
  const std::vector<std::string> &heldOut() const;

  /// Equal for the same pictures in the same order, wherever they lie: of the names (with the
  /// class's) and sizes of files, of the records of CIFAR-10, or of what draws the shapes. Files
  /// that are no images have no part in it.
  uint64_t fingerprint() const;

  /// "50,000 images of 10 classes, 32 x 32, 146 MiB in memory; 3 broken files skipped (others
  /// stand in for 2 of them)", for tables and logs.
  std::string summary() const;

  /// The samples `indices`, in that order. Those not in memory are decoded now, on several threads.
  ///
  /// A sample of which the header is good and the body is not is replaced by the next good one,
  /// index + 1, + 2, ..., so that a batch is always whole; the ImageRef then carries the
  /// replacement's index. Fails if no sample is good, and, before any memory is taken,
  /// if the samples are larger than admit() allows.
  Result<Batch> gather(std::span<const int64_t> indices) const;
  /// Samples first .. first+count-1.
  Result<Batch> range(int64_t first, int64_t count) const;

  /// gather() in parts, for who has his own threads: a batch with room for the samples `indices`,
  /// whole already where the data set is in memory; else decode() fills in one after another, each
  /// by one thread, and finish() comes last.
  Result<Batch> prepare(std::span<const int64_t> indices) const;
  Result<void> decode(Batch &batch, int64_t position) const;
  Result<void> finish(Batch &batch) const;

  /// Bytes of the samples once they are decoded, where they are not in memory yet; else 0.
  uint64_t decodedBytes(std::span<const int64_t> indices) const;
  /// How many samples from `first` on, at most `most` and at least 1, may be in memory at once.
  int64_t fitting(int64_t first, int64_t most) const;
  /// Fails, where samples are not in memory, if a batch of these would take more than there is for
  /// one.
  Result<void> admit(std::span<const int64_t> indices) const;
  /// DataOptions::batchBytes, or what stands for its 0.
  uint64_t batchBytes() const { return bytesForBatches; }

private:
  friend Result<std::unique_ptr<Dataset>> openDataset(const std::string &, Split,
                                                      const DataOptions &);
  Dataset() = default;
  void measure(const DataOptions &options);
  void decodeAll(const DataOptions &options);

  std::unique_ptr<Source> source;
  std::vector<std::string> leftOut;
  std::vector<std::string> names;    ///< after relabel()
  std::vector<int32_t> labelsOf;     ///< after relabel(): by the source's label
  std::vector<int64_t> samples;      ///< index -> sample of the source
  std::vector<Extent> extents;       ///< by index
  std::vector<uint64_t> offsets;     ///< by index, into `pixels`
  std::unique_ptr<uint8_t[]> pixels; ///< with abi::imagePadding
  uint64_t pixelBytes = 0;
  uint64_t totalBytes = 0;
  uint64_t bytesForBatches = 0;
  int threads = 1;
  std::unique_ptr<DecodeGate> gate;
  std::unique_ptr<SlabPool> pool;

  mutable std::mutex brokenMutex;
  mutable std::vector<BrokenFile> brokenFiles;
  mutable std::vector<uint8_t> knownBroken; ///< by index, of those found by decoding
};

/// Opens one split of the data set that `specification` names:
///
/// - `shapes`, `shapes:N`, `shapes:N,size=S,test=M,seed=K`: the procedural data set built in: N
///   training samples (10,000), M test samples (2,000), S x S pixels (32). A folder of this name is
///   reached as `./shapes`.
/// - a folder with CIFAR-10 binaries (data_batch_1.bin ..., test_batch.bin), or with
///   cifar-10-batches-bin in it;
/// - a folder of splits: `train` or `training`, and `test`, `testing`, `val`, `valid` or
///   `validation`, in any case of letters. The test split is the first of those, in this order,
///   that has class folders;
/// - a folder of class folders, or a flat folder of images without classes: all of it is the
///   training split, but for what DataOptions::holdout leaves out. So it is where a training split
///   stands alone.
///
/// In a split, classes are its subfolders by name, and files are found at any depth, through links
/// too. Images are told by their content. What is no image is left out and counted in remarks();
/// broken images are skipped and named in broken(). Fails, naming the path and what would help, if
/// the folder is missing or unreadable, holds no image of the split, or all are broken.
Result<std::unique_ptr<Dataset>> openDataset(const std::string &specification, Split split,
                                             const DataOptions &options = {});

/// Fails as openDataset() would where the specification alone tells: no such folder, a file, shapes
/// of no number.
Result<void> checkDataset(const std::string &specification);

} // namespace doppel::runtime
