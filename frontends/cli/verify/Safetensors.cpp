// The header is checked against the file's size before any tensor is taken from it.
#include "frontends/cli/verify/Safetensors.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cstring>

namespace doppel::verify {

using reference::Shape;
using reference::Tensor;

static llvm::Error broken(llvm::StringRef path, const llvm::Twine &why) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), path + ": " + why);
}

template <typename Number> static void decode(llvm::StringRef bytes, Tensor &tensor) {
  for (int64_t i = 0; i < tensor.size(); ++i) {
    Number number;
    std::memcpy(&number, bytes.data() + i * sizeof(Number), sizeof(Number));
    tensor[i] = number;
  }
}

llvm::Expected<Safetensors> readSafetensors(llvm::StringRef path) {
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file)
    return broken(path, file.getError().message());
  llvm::StringRef bytes = (*file)->getBuffer();
  if (bytes.size() < 8)
    return broken(path, "is shorter than its header");
  uint64_t length = llvm::support::endian::read64le(bytes.data());
  if (length > bytes.size() - 8)
    return broken(path, "is shorter than its header");
  auto header = llvm::json::parse(bytes.substr(8, length));
  if (!header)
    return header.takeError();
  const llvm::json::Object *entries = header->getAsObject();
  if (!entries)
    return broken(path, "its header is no object");
  llvm::StringRef body = bytes.substr(8 + length);

  Safetensors result;
  for (const auto &[key, value] : *entries) {
    const llvm::json::Object *entry = value.getAsObject();
    if (!entry)
      return broken(path, key.str() + " is no object");
    if (key == "__metadata__") {
      for (const auto &[name, text] : *entry)
        result.metadata[name.str()] = text.getAsString().value_or("").str();
      continue;
    }
    auto dtype = entry->getString("dtype");
    const llvm::json::Array *extents = entry->getArray("shape");
    const llvm::json::Array *offsets = entry->getArray("data_offsets");
    if (!dtype || (*dtype != "F32" && *dtype != "F64") || !extents || !offsets ||
        offsets->size() != 2)
      return broken(path, key.str() + " has no F32 or F64, shape and data_offsets");
    Shape shape;
    for (const llvm::json::Value &extent : *extents)
      shape.push_back(extent.getAsInteger().value_or(0));
    Tensor tensor(shape);
    uint64_t begin = (*offsets)[0].getAsUINT64().value_or(~0ull);
    uint64_t size = static_cast<uint64_t>(tensor.size()) * (*dtype == "F32" ? 4 : 8);
    if (begin > body.size() || size > body.size() - begin)
      return broken(path, key.str() + " ends behind the file");
    if (*dtype == "F32")
      decode<float>(body.substr(begin, size), tensor);
    else
      decode<double>(body.substr(begin, size), tensor);
    result.tensors[key.str()] = std::move(tensor);
  }
  return result;
}

} // namespace doppel::verify
