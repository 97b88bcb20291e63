// The slab of a device that does not read the host's memory has one base for all slots: kernels are
// recorded with it.
#include "runtime/executor/ImageFeed.h"

#include <cstring>

namespace doppel::runtime {

static TensorRef bytesOf(Allocation &memory) {
  return {memory.data(), schema::DType::U8, {int64_t(memory.bytes())}, memory.memory()};
}

/// What a data set leaves free of a device: graphs and code that is loaded late are the driver's.
constexpr uint64_t leftFree = uint64_t(256) << 20;

Result<void> ImageFeed::reserve(std::span<const uint8_t> kept, uint64_t batchBytes) {
  if (device.readsHostMemory())
    return {};
  if (!kept.empty()) {
    DOPPEL_TRY(bool isResident, makeResident(kept));
    if (isResident)
      return {};
  }
  return growSlots(batchBytes + abi::imagePadding);
}

uint64_t ImageFeed::bytes() const {
  return (resident ? resident->bytes() : 0) + (slab ? slab->bytes() : 0);
}

Result<TensorRef> ImageFeed::place(size_t slot, const ImageBatch &batch,
                                   std::span<abi::ImageRef> refs) {
  if (device.readsHostMemory())
    return hostBytes(batch.slab.data(), batch.slab.size());
  if (batch.sharesSlab) {
    DOPPEL_TRY(bool isResident, makeResident(batch.slab));
    if (isResident) {
      slots[slot].slab = resident;
      return bytesOf(*resident);
    }
  }
  return send(slot, batch, refs);
}

Result<bool> ImageFeed::makeResident(std::span<const uint8_t> pixels) {
  if (residentOf.data() == pixels.data() && residentOf.size() == pixels.size())
    return resident != nullptr;
  // The one before goes when its submissions are over.
  resident.reset();
  residentOf = pixels;
  DOPPEL_TRY(std::optional<DeviceMemory> own, device.memory());
  if (own && pixels.size() + leftFree > own->free)
    return false;
  auto memory = device.allocate(pixels.size());
  if (!memory)
    return false;
  DOPPEL_CHECK(device.upload(bytesOf(**memory), pixels.data()));
  resident = *std::move(memory);
  return true;
}

Result<void> ImageFeed::growSlots(uint64_t bytes) {
  if (bytes <= slotBytes)
    return {};
  // Some more, since batches of pictures of several sizes differ.
  size_t grown = (bytes + bytes / 8 + 63) / 64 * 64;
  auto memory = device.allocate(grown * slots.size());
  if (!memory)
    return std::unexpected(std::move(memory.error())
                               .within(fmt::format("no room for {} batches of pictures of {} MiB",
                                                   slots.size(), (grown >> 20) + 1)));
  slab = *std::move(memory);
  slotBytes = grown;
  return {};
}

/// Copies the pictures of a batch out of a slab of many, one behind the other.
Result<void> ImageFeed::pack(Slot &slot, const ImageBatch &batch, std::span<abi::ImageRef> refs,
                             size_t bytes) {
  if (!slot.staging || slot.staging->bytes() < bytes) {
    slot.staging.reset();
    DOPPEL_TRY(slot.staging, device.allocateHost(bytes));
  }
  auto *target = static_cast<uint8_t *>(slot.staging->data());
  uint64_t offset = 0;
  for (abi::ImageRef &image : refs) {
    size_t size = size_t(image.height) * size_t(image.width) * pixelBytes;
    std::memcpy(target + offset, batch.slab.data() + image.offset, size);
    image.offset = offset;
    offset += size;
  }
  return {};
}

Result<TensorRef> ImageFeed::send(size_t number, const ImageBatch &batch,
                                  std::span<abi::ImageRef> refs) {
  Slot &slot = slots[number];
  size_t bytes = batch.slab.size();
  if (batch.sharesSlab) {
    bytes = abi::imagePadding;
    for (const abi::ImageRef &image : batch.images)
      bytes += size_t(image.height) * size_t(image.width) * pixelBytes;
  }
  DOPPEL_CHECK(growSlots(bytes));
  if (!copies) {
    DOPPEL_TRY(copies, device.makeStream());
  }
  slot.slab = slab;
  TensorRef source = hostBytes(batch.slab.data(), bytes);
  if (batch.sharesSlab) {
    DOPPEL_CHECK(pack(slot, batch, refs, bytes));
    source = {slot.staging->data(), schema::DType::U8, {int64_t(bytes)}, slot.staging->memory()};
  }
  TensorRef target = bytesOf(*slab);
  target.data = static_cast<uint8_t *>(target.data) + number * slotBytes;
  target.shape = {int64_t(bytes)};
  DOPPEL_CHECK(copies->copy(source, target));
  DOPPEL_TRY(Mark sent, copies->mark());
  DOPPEL_CHECK(compute.waitFor(*copies, sent));
  for (abi::ImageRef &image : refs)
    image.offset += number * slotBytes;
  return bytesOf(*slab);
}

} // namespace doppel::runtime
