#include "frontends/cli/verify/Safetensors.h"

#include "runtime/core/Safetensors.h"

#include <cstring>

namespace doppel::verify {

using reference::Shape;
using reference::Tensor;

template <typename Number> static void decode(std::string_view bytes, Tensor &tensor) {
  for (int64_t i = 0; i < tensor.size(); ++i) {
    Number number;
    std::memcpy(&number, bytes.data() + i * sizeof(Number), sizeof(Number));
    tensor[i] = number;
  }
}

llvm::Expected<Safetensors> readSafetensors(llvm::StringRef path) {
  auto failed = [](const std::string &message) {
    return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
  };
  auto file = runtime::Safetensors::load(path.str());
  if (!file)
    return failed(file.error().message);
  Safetensors result;
  result.metadata = file->metadata();
  for (const runtime::TensorEntry &entry : file->tensors()) {
    Tensor tensor(Shape(entry.shape.begin(), entry.shape.end()));
    if (entry.dtype == "F32")
      decode<float>(file->bytes(entry), tensor);
    else if (entry.dtype == "F64")
      decode<double>(file->bytes(entry), tensor);
    else
      return failed(path.str() + ": " + entry.name + " is of type " + entry.dtype +
                    ", neither F32 nor F64");
    result.tensors[entry.name] = std::move(tensor);
  }
  return result;
}

} // namespace doppel::verify
