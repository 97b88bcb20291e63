// Shared libraries that are opened when they are needed: NVIDIA's, wherever a machine keeps them.
#pragma once

#include "runtime/core/Error.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace doppel::runtime::cuda {

/// Where a library is looked for.
struct LibrarySearch {
  /// Before all others; what tests set.
  std::vector<std::string> first;
  /// Whether the system's own path (ld.so's, LD_LIBRARY_PATH) is asked.
  bool system = true;
  /// After it.
  std::vector<std::string> then;
};

/// The usual places: CUDA_HOME and CUDA_PATH, /usr/local/cuda, WSL's folder for the driver, and
/// `nvidia/*/lib` in the site-packages of Python (of VIRTUAL_ENV and CONDA_PREFIX first, then of
/// the `python3` in PATH, the user's, the system's), and CONDA_PREFIX's own libraries.
LibrarySearch usualSearch();

class Library {
public:
  /// Never closed: NVIDIA's libraries keep threads that outlive a close.
  Library(void *handle, std::string name) : handle_(handle), name_(std::move(name)) {}
  void *handle() const { return handle_; }
  /// The file that was opened.
  const std::string &name() const { return name_; }
  /// Null where there is none of the name.
  void *symbol(const char *name) const;

private:
  void *handle_;
  std::string name_;
};

/// Opens the first of `names` ("libcudnn.so.9") that is found. The error says what was looked for
/// and where; `what` is the library's name for a person ("cuDNN 9"). A file that is there but
/// cannot be opened is an error of its own, with the loader's words.
Result<Library> openLibrary(std::string_view what, std::span<const char *const> names,
                            const LibrarySearch &search);

} // namespace doppel::runtime::cuda
