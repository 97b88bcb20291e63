#include "runtime/device/sim/Checker.h"

#include "runtime/schema/SimAbi.h"

#include <fmt/format.h>

namespace doppel::runtime::sim {
namespace {

/// Whether [a, a + n) and [b, b + m) have a byte in common.
bool overlap(const std::byte *a, size_t n, const std::byte *b, size_t m) {
  return a < b + m && b < a + n;
}

bool contains(const Region &region, const std::byte *address, size_t bytes) {
  return address >= region.base && address + bytes <= region.base + region.bytes;
}

} // namespace

Checker::Checker(std::span<const Region> regions, const std::byte *shared, size_t sharedBytes)
    : regions(regions), shared(shared), sharedCells(sharedBytes) {
  for (size_t i = 0; i < regions.size(); ++i) {
    if (!regions[i].written)
      continue;
    bool isInput = false;
    for (const Region &other : regions)
      isInput |=
          !other.written && overlap(other.base, other.bytes, regions[i].base, regions[i].bytes);
    outputs.push_back({i, isInput, std::vector<Cell>(regions[i].bytes / regions[i].elementBytes)});
  }
}

void Checker::beginBlock(int32_t number) {
  block = number;
  firstEpoch = ++epoch;
}

std::optional<std::string> Checker::access(int32_t thread, const std::byte *address, int64_t bytes,
                                           int32_t kind) {
  bool write = kind & abi::simWrite;
  uintptr_t alignment = uintptr_t(1) << (kind >> abi::simAlignShift & 0xff);
  if (reinterpret_cast<uintptr_t>(address) % alignment != 0)
    return fmt::format("thread {} of block {} {} {} bytes at an address that is no multiple of {}",
                       thread, block, write ? "writes" : "reads", bytes, alignment);
  return kind & abi::simShared
             ? accessShared(thread, address, bytes, write)
             : accessGlobal(thread, address, bytes, write, (kind >> abi::simBufferShift) - 1);
}

std::optional<std::string> Checker::table(int32_t thread, const std::byte *address, int64_t bytes,
                                          const std::byte *base, int64_t size) const {
  int64_t offset = address - base;
  if (offset >= 0 && offset + bytes <= size)
    return std::nullopt;
  return fmt::format("thread {} of block {} reads {} bytes at {} of a table of {} bytes", thread,
                     block, bytes, offset, size);
}

std::optional<std::string> Checker::finish() const {
  for (const Output &output : outputs) {
    if (regions[output.number].scratch)
      continue;
    for (size_t i = 0; i < output.cells.size(); ++i) {
      const Cell &cell = output.cells[i];
      if (cell.writerBlock != none || (output.isInput && cell.readerBlock == none))
        continue;
      return fmt::format("no thread of blocks 0 to {} writes element {} of buffer {}, an output{}",
                         block, i, output.number, output.isInput ? ", which they read" : "");
    }
  }
  return std::nullopt;
}

/// Notes that `thread` uses the element; what is wrong with it, from "thread 3 ..." on.
std::optional<std::string> Checker::touch(Cell &cell, int32_t thread, bool write) const {
  if (cell.writerBlock >= 0) {
    if (cell.writerBlock != block)
      return fmt::format("thread {} of block {} {} what thread {} of block {} writes", thread,
                         block, write ? "writes" : "reads", cell.writer, cell.writerBlock);
    if (cell.writer != thread && cell.writeEpoch == epoch)
      return fmt::format("threads {} and {} of block {} {}, without a barrier between them",
                         cell.writer, thread, block, write ? "both write" : "write and read");
  }
  if (!write) {
    bool fresh = cell.readerBlock == none || (cell.readerBlock == block && cell.readEpoch < epoch);
    if (fresh) {
      cell.readerBlock = block;
      cell.reader = thread;
    } else if (cell.readerBlock != block) {
      cell.readerBlock = many;
    } else if (cell.reader != thread) {
      cell.reader = many;
    }
    cell.readEpoch = epoch;
    return std::nullopt;
  }
  if (cell.readerBlock == many || (cell.readerBlock >= 0 && cell.readerBlock != block))
    return fmt::format("thread {} of block {} writes what another block reads", thread, block);
  if (cell.readerBlock == block && cell.readEpoch == epoch && cell.reader != thread)
    return fmt::format("thread {} of block {} writes what another thread read, without a barrier "
                       "between them",
                       thread, block);
  cell.writerBlock = block;
  cell.writer = thread;
  cell.writeEpoch = epoch;
  return std::nullopt;
}

std::optional<std::string> Checker::accessShared(int32_t thread, const std::byte *address,
                                                 int64_t bytes, bool write) {
  int64_t offset = address - shared;
  if (offset < 0 || uint64_t(offset + bytes) > sharedCells.size())
    return fmt::format("thread {} of block {} {} {} bytes at {} of {} bytes of shared memory",
                       thread, block, write ? "writes" : "reads", bytes, offset,
                       sharedCells.size());
  for (int64_t at = offset; at < offset + bytes; ++at) {
    Cell &cell = sharedCells[at];
    // What another block left there is nobody's.
    if (cell.writeEpoch < firstEpoch && cell.readEpoch < firstEpoch)
      cell = {};
    if (!write && cell.writerBlock == none)
      return fmt::format("thread {} of block {} reads byte {} of shared memory, which no thread "
                         "wrote",
                         thread, block, at);
    if (auto wrong = touch(cell, thread, write))
      return fmt::format("{} (byte {} of shared memory)", *wrong, at);
  }
  return std::nullopt;
}

std::optional<std::string> Checker::findBuffer(int32_t thread, const std::byte *address,
                                               int64_t bytes, bool write, int32_t buffer) const {
  const char *does = write ? "writes" : "reads";
  if (buffer >= 0 && size_t(buffer) < regions.size()) {
    const Region &own = regions[buffer];
    if (!contains(own, address, bytes))
      return fmt::format(
          "thread {} of block {} {} {} bytes outside of buffer {}, at {} of {} bytes", thread,
          block, does, bytes, buffer, address - own.base, own.bytes);
    if (write && !own.written)
      return fmt::format("thread {} of block {} writes buffer {}, an input", thread, block, buffer);
    return std::nullopt;
  }
  std::optional<size_t> input;
  for (size_t i = 0; i < regions.size(); ++i)
    if (contains(regions[i], address, bytes)) {
      if (!write || regions[i].written)
        return std::nullopt;
      input = i;
    }
  if (input)
    return fmt::format("thread {} of block {} writes buffer {}, an input", thread, block, *input);
  std::string nearest;
  for (size_t i = 0; i < regions.size() && nearest.empty(); ++i)
    if (overlap(regions[i].base, regions[i].bytes + 4096, address, bytes))
      nearest = fmt::format(": byte {} of buffer {}, which has {}", address - regions[i].base, i,
                            regions[i].bytes);
  return fmt::format("thread {} of block {} {} {} bytes outside of the launch's buffers{}", thread,
                     block, does, bytes, nearest);
}

std::optional<std::string> Checker::accessGlobal(int32_t thread, const std::byte *address,
                                                 int64_t bytes, bool write, int32_t buffer) {
  if (auto wrong = findBuffer(thread, address, bytes, write, buffer))
    return wrong;
  for (Output &output : outputs) {
    const Region &region = regions[output.number];
    if (!overlap(region.base, region.bytes, address, bytes))
      continue;
    int64_t begin = std::max<int64_t>(0, address - region.base);
    int64_t end = std::min<int64_t>(region.bytes, address + bytes - region.base);
    for (size_t i = begin / region.elementBytes; int64_t(i * region.elementBytes) < end; ++i) {
      Cell &cell = output.cells[i];
      if (!write && cell.writerBlock == none && !output.isInput)
        return fmt::format("thread {} of block {} reads element {} of buffer {}, {}, before anyone "
                           "wrote it",
                           thread, block, i, output.number,
                           region.scratch ? "scratch memory" : "an output");
      if (auto wrong = touch(cell, thread, write))
        return fmt::format("{} (element {} of buffer {})", *wrong, i, output.number);
    }
  }
  return std::nullopt;
}

} // namespace doppel::runtime::sim
