// A compiled program in memory. There is one way to get one, `Artifact::load`, and it verifies
// everything: whoever holds an Artifact may follow its indices, offsets and enums without a check.
// README.md describes the file.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/schema/program_generated.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::runtime {

/// Bytes of one element of a dtype; 0 for a value outside the enum.
size_t elementBytes(schema::DType type);

/// Bytes of a buffer: the product of its shape and the element's size. Never overflows for a loaded
/// artifact.
uint64_t bufferBytes(const schema::Buffer &buffer);

/// By what artifacts are held against checkpoints and each other.
struct Fingerprints {
  uint64_t states = 0;  ///< names, kinds, types and shapes of the states: what eval wants
  uint64_t method = 0;  ///< the method as written, with params and batch: resume wants it, too
  uint64_t program = 0; ///< program and code: equal ones give equal bits

  bool operator==(const Fingerprints &) const = default;
};

class Artifact {
public:
  /// Reads and verifies the file: size, header, checksums, FlatBuffers' verifier, then every index,
  /// enum, range, dtype, overflow, alignment and name. An error names the file and the element that
  /// is wrong. Whether a machine can run it is for the device to say (Device::checkTarget).
  static Result<Artifact> load(const std::filesystem::path &path);

  /// The same for bytes in memory; `name` stands for the file in errors.
  static Result<Artifact> parse(std::span<const std::byte> bytes, std::string_view name);

  /// What the file was loaded as, for messages.
  const std::string &name() const { return file; }
  const schema::Program &program() const { return *root; }
  /// The kernels as `kind`; of GPUs, for that architecture. Null where there are none.
  const schema::CodeSet *code(schema::CodeKind kind, std::string_view architecture = "") const;
  /// A module of a set: its bytes, aligned to 64.
  std::span<const std::byte> module(const schema::CodeSet &set, uint32_t number) const {
    return segments[set.modules()->Get(number)];
  }
  /// The text of the spec that was compiled; empty where there was none.
  std::string_view specSource() const { return spec; }
  /// The whole file.
  std::span<const std::byte> bytes() const { return {storage.get(), size}; }
  const Fingerprints &fingerprints() const { return prints; }

  /// The function of that name, or null.
  const schema::Function *function(std::string_view name) const;

private:
  Artifact() = default;
  struct Free {
    void operator()(std::byte *bytes) const;
  };
  std::unique_ptr<std::byte[], Free> storage; ///< the whole file, aligned to 64
  const schema::Program *root = nullptr;
  std::vector<std::span<const std::byte>> segments;
  std::string file;
  std::string_view spec;
  uint64_t size = 0;
  Fingerprints prints;

  static Result<Artifact> verify(std::unique_ptr<std::byte[], Free> storage, uint64_t size,
                                 std::string_view name);
};

} // namespace doppel::runtime
