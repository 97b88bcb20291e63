// The bytes of an artifact file around its FlatBuffers program: what the writer (codegen/artifact)
// and the loader (runtime/artifact) agree on. runtime/artifact/README.md has the same as a table.
// All numbers are little-endian; a change here or in program.fbs or Abi.h is a new schema version.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace doppel::format {

/// A byte above 0x7f shows a transfer that keeps 7 bits, CR LF one that rewrites line ends, 0x1a
/// stops `type` on Windows.
inline constexpr std::array<uint8_t, 8> magic = {0x89, 'D', 'P', 'X', '\r', '\n', 0x1a, '\n'};

/// A reader reads files of its own major version whose minor version is not above its own.
inline constexpr uint16_t schemaMajor = 2;
inline constexpr uint16_t schemaMinor = 0;

/// Programs and segments begin at multiples of this; the bytes between are zero.
inline constexpr uint64_t alignment = 64;
inline constexpr uint64_t maxProgramBytes = uint64_t(64) << 20;
inline constexpr uint32_t maxSegments = 256;
/// Segments of code in one code set.
inline constexpr uint32_t maxModules = 16;

/// Begins the file; then `segmentCount` times Segment; then the xxh64 of all header bytes before it
/// (uint64).
struct Header {
  std::array<uint8_t, 8> magic;
  uint32_t headerBytes; ///< of Header, segment table and checksum
  uint16_t major;
  uint16_t minor;
  uint64_t fileBytes;
  uint64_t programOffset;
  uint64_t programBytes;
  uint64_t programChecksum; ///< xxh64, seed 0
  uint32_t segmentCount;
  uint32_t flags;                ///< 0
  std::array<char, 40> producer; ///< "doppel 0.1.0", zeros after it
};
static_assert(sizeof(Header) == 96 && offsetof(Header, producer) == 56);

/// Code has the numbers of schema::CodeKind, and each segment of it is in one code set of the
/// program. Spec source stands in a file at most once.
enum class SegmentKind : uint32_t { Unspecified = 0, Elf = 1, Ptx = 2, Cubin = 3, SpecSource = 4 };

struct Segment {
  uint32_t kind;  ///< SegmentKind
  uint32_t flags; ///< 0
  uint64_t offset;
  uint64_t bytes;
  uint64_t checksum; ///< xxh64, seed 0
};
static_assert(sizeof(Segment) == 32);

} // namespace doppel::format
