// Pictures from strangers: decodeImage() over any bytes. What is decoded is decoded whole and alike
// a second time, to the extent that the header promised; what is not has a message that can be
// printed.
#include "runtime/data/Decode.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <zlib.h>

using namespace doppel::runtime;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

/// Pixels of an input that is decoded: larger ones only take longer.
constexpr int64_t kMaxPixels = 1 << 18;

[[noreturn]] void broken(const char *what) {
  std::fprintf(stderr, "image: %s\n", what);
  std::abort();
}

void expectSentence(const Error &error) {
  if (error.message.empty())
    broken("an error without a message");
  if (std::any_of(error.message.begin(), error.message.end(),
                  [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; }))
    broken("a message with control characters");
}

uint32_t bigEndian(const uint8_t *bytes) {
  return uint32_t(bytes[0]) << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

/// Makes the checksums of a PNG's chunks right, as far as chunks can be told.
void repairPng(uint8_t *data, size_t size) {
  static constexpr uint8_t kSignature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  if (size < sizeof(kSignature) || std::memcmp(data + 1, kSignature + 1, 3) != 0)
    return;
  std::memcpy(data, kSignature, sizeof(kSignature));
  for (size_t at = sizeof(kSignature); size - at >= 12;) {
    uint32_t length = bigEndian(data + at);
    if (length > size - at - 12)
      return;
    uint8_t *sum = data + at + 8 + length;
    uint32_t right = uint32_t(crc32(0, data + at + 4, length + 4));
    for (int byte = 0; byte < 4; ++byte)
      sum[byte] = uint8_t(right >> (24 - 8 * byte));
    at += 12 + length;
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::span<const uint8_t> file(data, size);
  Result<Extent> extent = probeImage(file);
  if (extent && !isImage(file))
    broken("a header is read in what is no picture");
  if (!extent) {
    expectSentence(extent.error());
    if (decodeImage(file))
      broken("a file without a header was decoded");
    return 0;
  }
  if (extent->height < 1 || extent->width < 1)
    broken("an empty extent");
  if (int64_t(extent->height) * extent->width > kMaxPixels)
    return 0;
  std::vector<uint8_t> first(extent->bytes(), 0x55), second(extent->bytes(), 0xaa);
  Result<void> decoded = decodeImage(file, *extent, first.data());
  Result<void> again = decodeImage(file, *extent, second.data());
  if (decoded.has_value() != again.has_value())
    broken("decoded once, refused once");
  if (!decoded)
    expectSentence(decoded.error());
  else if (first != second)
    broken("pixels that were not written, or differ from call to call");
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                          unsigned seed) {
  size = LLVMFuzzerMutate(data, size, maxSize);
  if (seed % 16 != 0)
    repairPng(data, size);
  return size;
}
