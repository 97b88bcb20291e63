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
#include <string_view>

namespace doppel::runtime {

/// Bytes of one element of a dtype; 0 for a value outside the enum.
size_t elementBytes(schema::DType type);

/// Bytes of a buffer: the product of its shape and the element's size. Never overflows for a loaded
/// artifact.
uint64_t bufferBytes(const schema::Buffer &buffer);

class Artifact {
public:
  /// Whether the code's processor features are asked of this machine. `inspect` reads artifacts for
  /// other machines.
  enum class Machine { Required, Any };

  /// Reads and verifies the file: size, header, checksums, FlatBuffers' verifier, then every index,
  /// enum, range, dtype, overflow, alignment and name, then this machine's processor. An error
  /// names the file and the element that is wrong.
  static Result<Artifact> load(const std::filesystem::path &path,
                               Machine machine = Machine::Required);

  /// The same for bytes in memory; `name` stands for the file in errors.
  static Result<Artifact> parse(std::span<const std::byte> bytes, std::string_view name,
                                Machine machine = Machine::Required);

  const schema::Program &program() const { return *root; }
  /// The shared object that holds the kernels' symbols; aligned to 64 bytes.
  std::span<const std::byte> elf() const { return code; }
  /// The text of the spec that was compiled; empty where there was none.
  std::string_view specSource() const { return spec; }
  /// The whole file.
  std::span<const std::byte> bytes() const { return {storage.get(), size}; }
  /// Identifies program and code: checkpoints belong to the artifact of one fingerprint.
  uint64_t fingerprint() const { return identity; }

  /// The function of that name, or null.
  const schema::Function *function(std::string_view name) const;

private:
  Artifact() = default;
  struct Free {
    void operator()(std::byte *bytes) const;
  };
  std::unique_ptr<std::byte[], Free> storage; ///< the whole file, aligned to 64
  const schema::Program *root = nullptr;
  std::span<const std::byte> code;
  std::string_view spec;
  uint64_t size = 0;
  uint64_t identity = 0;

  static Result<Artifact> verify(std::unique_ptr<std::byte[], Free> storage, uint64_t size,
                                 Machine machine);
};

} // namespace doppel::runtime
