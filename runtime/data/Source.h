// Where the samples of one split come from. A source knows names, labels and how to decode one
// sample; it holds no pixels. The data set above it decides what is kept in memory. All const
// members may be called from many threads. Private to this folder.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/data/Dataset.h"
#include "runtime/data/Image.h"
#include <memory>
#include <string>
#include <vector>

namespace doppel::runtime {

class Source {
public:
  virtual ~Source() = default;

  virtual int64_t size() const = 0;
  /// Empty where the samples have no labels.
  virtual const std::vector<std::string> &classNames() const = 0;
  /// Of a training split from which a part is held out: the files of that part, by name.
  virtual const std::vector<std::string> &heldOut() const {
    static const std::vector<std::string> none;
    return none;
  }
  /// -1 where the samples have no labels.
  virtual int32_t label(int64_t sample) const = 0;
  /// How a message names the sample: a path, or a path and the record in it.
  virtual std::string describe(int64_t sample) const = 0;
  /// Equal for the same picture wherever the data lie, without decoding it.
  virtual uint64_t identity(int64_t sample) const = 0;
  /// The sample's extent, without decoding it.
  virtual Result<Extent> probe(int64_t sample) const = 0;
  /// Decodes into [extent.height, extent.width, 3]; `extent` is what probe() said.
  virtual Result<void> decode(int64_t sample, Extent extent, uint8_t *pixels) const = 0;
};

struct SourceOptions {
  Split split;
  double holdout; ///< the fraction that is left out of training, of data without a test split
  bool holdoutIsOptional;
  int threads;
};

/// A folder of images, see Dataset.h. `remarks` receives sentences on what was left out.
Result<std::unique_ptr<Source>> openFolder(const std::string &path, const SourceOptions &options,
                                           std::vector<std::string> &remarks);

/// The folder that holds the CIFAR-10 binaries: `path` or the subfolder that the archive unpacks
/// to; empty where there are none.
std::string findCifar(const std::string &path);
Result<std::unique_ptr<Source>> openCifar(const std::string &path, Split split);

/// The procedural data set; `text` is what follows "shapes" in the specification: "" or
/// ":N,size=S,...".
Result<std::unique_ptr<Source>> openShapes(const std::string &text, Split split);

} // namespace doppel::runtime
