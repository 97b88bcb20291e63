// Brings the pictures of a batch to where a device's kernels read them: not at all where those read
// the host's memory; once, where a whole data set fits; else a batch at a time, into one of two
// halves of a slab, beside the step before.
#pragma once

#include "runtime/device/Device.h"
#include "runtime/schema/Abi.h"

#include <array>
#include <span>

namespace doppel::runtime {

/// The pictures of one image input for one submission.
struct ImageBatch {
  std::span<const abi::ImageRef> images; ///< as many as a rank has samples
  std::span<const uint8_t> slab;         ///< what they count from, with abi::imagePadding
  bool sharesSlab = false; ///< batches to come have the same slab with the same bytes in it
};

class ImageFeed {
public:
  /// `pixelBytes`: channels times the bytes of one. `slots`: submissions whose pictures must stay.
  ImageFeed(Device &device, Stream &compute, uint64_t pixelBytes, size_t slots)
      : device(device), compute(compute), pixelBytes(pixelBytes), slots(slots) {}

  /// Takes memory of the device before the first batch wants it: for all of `kept`, which batches
  /// to come share, where it fits; else for slots of `batchBytes` of pixels each.
  Result<void> reserve(std::span<const uint8_t> kept, uint64_t batchBytes);
  /// Of the device, for pictures.
  uint64_t bytes() const;
  bool isResident() const { return resident != nullptr; }

  /// For what comes next in the compute stream: the slab to run with. `refs` are a copy of the
  /// batch's images, whose offsets become those in that slab. The slot's last submission is over.
  Result<TensorRef> place(size_t slot, const ImageBatch &batch, std::span<abi::ImageRef> refs);

private:
  struct Slot {
    std::shared_ptr<Allocation> slab; ///< stays for a trace when another takes its place
    std::unique_ptr<Allocation> staging;
  };
  Result<bool> makeResident(std::span<const uint8_t> slab);
  Result<void> growSlots(uint64_t bytes);
  Result<TensorRef> send(size_t slot, const ImageBatch &batch, std::span<abi::ImageRef> refs);
  Result<void> pack(Slot &slot, const ImageBatch &batch, std::span<abi::ImageRef> refs,
                    size_t bytes);

  Device &device;
  Stream &compute;
  uint64_t pixelBytes;
  std::vector<Slot> slots;
  std::unique_ptr<Stream> copies;
  std::shared_ptr<Allocation> resident;
  std::span<const uint8_t> residentOf; ///< the slab that is resident, or is known not to fit
  std::shared_ptr<Allocation> slab;    ///< of all slots
  size_t slotBytes = 0;
};

} // namespace doppel::runtime
