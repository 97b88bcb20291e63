// Loads an artifact: size, header, checksums, FlatBuffers' verifier, then the program
// (Validate.cpp). All offsets are compared in the form `offset > size || bytes > size - offset`,
// which cannot wrap.
#include "runtime/artifact/Artifact.h"

#include "runtime/artifact/Validate.h"
#include "runtime/core/File.h"
#include "runtime/schema/Format.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>
#include <xxhash.h>

static_assert(std::endian::native == std::endian::little,
              "artifacts are read as they lie in the file");

namespace doppel::runtime {

size_t elementBytes(schema::DType type) {
  switch (type) {
  case schema::DType::F64:
  case schema::DType::I64:
    return 8;
  case schema::DType::F32:
  case schema::DType::I32:
    return 4;
  case schema::DType::BF16:
    return 2;
  case schema::DType::U8:
  case schema::DType::Bool:
    return 1;
  case schema::DType::ImageRef:
    return 24;
  case schema::DType::RunScalars:
    return 40;
  case schema::DType::Unspecified:
    break;
  }
  return 0;
}

uint64_t bufferBytes(const schema::Buffer &buffer) {
  uint64_t bytes = elementBytes(buffer.dtype());
  for (int64_t size : *buffer.shape())
    bytes *= uint64_t(size);
  return bytes;
}

// Not inlined: GCC 12 then takes the pointer of a moved-from Artifact for one that was never
// allocated.
[[gnu::noinline]] void Artifact::Free::operator()(std::byte *bytes) const { std::free(bytes); }

const schema::Function *Artifact::function(std::string_view name) const {
  for (const schema::Function *function : *root->functions())
    if (function->name()->string_view() == name)
      return function;
  return nullptr;
}

const schema::CodeSet *Artifact::code(schema::CodeKind kind, std::string_view architecture) const {
  for (const schema::CodeSet *set : *root->code())
    if (set->kind() == kind && set->architecture()->string_view() == architecture)
      return set;
  return nullptr;
}

namespace {

bool contains(uint64_t size, uint64_t offset, uint64_t bytes) {
  return offset <= size && bytes <= size - offset;
}

const char *nameOf(uint32_t kind) {
  switch (format::SegmentKind(kind)) {
  case format::SegmentKind::Elf:
    return "ELF";
  case format::SegmentKind::SpecSource:
    return "spec source";
  case format::SegmentKind::Ptx:
    return "PTX";
  case format::SegmentKind::Cubin:
    return "cubin";
  case format::SegmentKind::Unspecified:
    break;
  }
  return nullptr;
}

/// The parts of a file whose header and checksums are right.
struct Layout {
  format::Header header;
  std::vector<format::Segment> segments;

  const format::Segment *find(format::SegmentKind kind) const {
    for (const format::Segment &segment : segments)
      if (segment.kind == uint32_t(kind))
        return &segment;
    return nullptr;
  }
};

std::string producerOf(const format::Header &header) {
  std::string producer(header.producer.data(),
                       strnlen(header.producer.data(), header.producer.size()));
  for (char &character : producer)
    if (character < 0x20 || character > 0x7e)
      character = '?';
  return producer;
}

Result<Layout> readLayout(const std::byte *bytes, uint64_t size) {
  Layout layout;
  format::Header &header = layout.header;
  if (size < sizeof(header))
    return fail("is truncated: {} bytes are less than the header's {}", size, sizeof(header));
  std::memcpy(&header, bytes, sizeof(header));
  if (header.magic != format::magic) {
    if (std::equal(header.magic.begin() + 1, header.magic.begin() + 4, format::magic.begin() + 1))
      return fail(
          "was damaged on its way, perhaps by a transfer as text: its first bytes are wrong");
    return fail("is not a Doppel artifact");
  }
  if (header.major != format::schemaMajor || header.minor > format::schemaMinor)
    return fail(
        "has schema version {}.{} (made by {}), this program reads {}.0 to {}.{}; rebuild it: "
        "doppel compile SPEC -o ARTIFACT",
        header.major, header.minor, producerOf(header), format::schemaMajor, format::schemaMajor,
        format::schemaMinor);
  if (header.segmentCount > format::maxSegments)
    return fail("header.segmentCount {} exceeds {}", header.segmentCount, format::maxSegments);
  uint64_t table = sizeof(header) + header.segmentCount * sizeof(format::Segment);
  if (header.headerBytes != table + sizeof(uint64_t))
    return fail("header.headerBytes is {}, not {}", header.headerBytes, table + sizeof(uint64_t));
  if (header.headerBytes > size)
    return fail("is truncated: {} bytes are less than the header's {}", size, header.headerBytes);
  uint64_t checksum;
  std::memcpy(&checksum, bytes + table, sizeof(checksum));
  if (checksum != XXH64(bytes, table, 0))
    return fail("is damaged: the header's checksum is wrong");
  if (header.fileBytes != size)
    return fail("{}: it has {} bytes, its header says {}",
                size < header.fileBytes ? "is truncated" : "has bytes behind its end", size,
                header.fileBytes);
  if (header.flags != 0)
    return fail("header.flags {:#x} are not known", header.flags);

  layout.segments.resize(header.segmentCount);
  std::copy_n(bytes + sizeof(header), layout.segments.size() * sizeof(format::Segment),
              reinterpret_cast<std::byte *>(layout.segments.data()));
  return layout;
}

/// Checks place and checksum of the program and of each segment, and that all other bytes are zero.
Result<void> checkParts(const Layout &layout, const std::byte *bytes, uint64_t size) {
  struct Part {
    std::string name;
    uint64_t offset, bytes, checksum;
  };
  const format::Header &header = layout.header;
  if (header.programBytes > format::maxProgramBytes)
    return fail("program of {} bytes exceeds {}", header.programBytes, format::maxProgramBytes);
  std::vector<Part> parts = {
      {"program", header.programOffset, header.programBytes, header.programChecksum}};
  for (size_t index = 0; index < layout.segments.size(); ++index) {
    const format::Segment &segment = layout.segments[index];
    const char *name = nameOf(segment.kind);
    if (!name)
      return fail("segments[{}].kind {} is not known", index, segment.kind);
    if (segment.flags != 0)
      return fail("segments[{}].flags {:#x} are not known", index, segment.flags);
    if (segment.kind == uint32_t(format::SegmentKind::SpecSource) &&
        layout.find(format::SegmentKind::SpecSource) != &segment)
      return fail("segments[{}] is a second {} segment", index, name);
    parts.push_back({fmt::format("segments[{}] ({})", index, name), segment.offset, segment.bytes,
                     segment.checksum});
  }
  for (const Part &part : parts) {
    if (!contains(size, part.offset, part.bytes))
      return fail("{}: offset {} + {} exceeds the file's {} bytes", part.name, part.offset,
                  part.bytes, size);
    if (part.offset % format::alignment != 0)
      return fail("{}: offset {} is no multiple of {}", part.name, part.offset, format::alignment);
    if (XXH64(bytes + part.offset, part.bytes, 0) != part.checksum)
      return fail("is damaged: the checksum of {} is wrong", part.name);
  }
  std::ranges::sort(parts, {}, &Part::offset);
  uint64_t end = header.headerBytes;
  auto zeros = [&](uint64_t from, uint64_t to) {
    return std::all_of(bytes + from, bytes + to, [](std::byte b) { return b == std::byte(0); });
  };
  for (const Part &part : parts) {
    if (part.offset < end)
      return fail("{}: offset {} lies inside the part before it, which ends at {}", part.name,
                  part.offset, end);
    if (!zeros(end, part.offset))
      return fail("is damaged: bytes before {} are not zero", part.name);
    end = part.offset + part.bytes;
  }
  if (!zeros(end, size))
    return fail("is damaged: bytes behind the last part are not zero");
  return {};
}

/// Whatever their order, which is the compiler's.
uint64_t fingerprintOf(const flatbuffers::Vector<flatbuffers::Offset<schema::State>> &states,
                       const flatbuffers::Vector<flatbuffers::Offset<schema::Buffer>> &buffers) {
  std::vector<std::string> lines;
  for (const schema::State *state : states) {
    const schema::Buffer &buffer = *buffers.Get(state->buffer());
    std::string line = fmt::format("{} {} {}", state->name()->string_view(),
                                   schema::EnumNameStateKind(state->kind()),
                                   schema::EnumNameDType(buffer.dtype()));
    for (int64_t extent : *buffer.shape())
      line += fmt::format(" {}", extent);
    lines.push_back(std::move(line));
  }
  std::ranges::sort(lines);
  std::string text;
  for (const std::string &line : lines)
    text += line + "\n"; // no name has one
  return XXH64(text.data(), text.size(), 0);
}

} // namespace

Result<Artifact> Artifact::verify(std::unique_ptr<std::byte[], Free> storage, uint64_t size,
                                  std::string_view name) {
  const std::byte *bytes = storage.get();
  DOPPEL_TRY(Layout layout, readLayout(bytes, size));
  DOPPEL_CHECK(checkParts(layout, bytes, size));

  const format::Header &header = layout.header;
  auto *program = reinterpret_cast<const uint8_t *>(bytes + header.programOffset);
  flatbuffers::Verifier verifier(program, header.programBytes, /*max_depth=*/64,
                                 /*max_tables=*/10'000'000);
  if (!schema::VerifyProgramBuffer(verifier))
    return fail("is damaged: its program is no valid FlatBuffer");

  Artifact artifact;
  artifact.root = schema::GetProgram(program);
  std::vector<uint64_t> sums = {header.programChecksum};
  for (const format::Segment &segment : layout.segments) {
    artifact.segments.emplace_back(bytes + segment.offset, size_t(segment.bytes));
    if (segment.kind != uint32_t(format::SegmentKind::SpecSource))
      sums.push_back(segment.checksum);
  }
  if (const format::Segment *spec = layout.find(format::SegmentKind::SpecSource))
    artifact.spec = {reinterpret_cast<const char *>(bytes + spec->offset), size_t(spec->bytes)};
  DOPPEL_CHECK(validateProgram(*artifact.root, layout.segments));

  artifact.prints.states = fingerprintOf(*artifact.root->states(), *artifact.root->buffers());
  artifact.prints.program = XXH64(sums.data(), sums.size() * sizeof(uint64_t), 0);
  // What was compiled from a later phase than the method is like nothing but itself.
  artifact.prints.method = artifact.root->method_fingerprint() ? artifact.root->method_fingerprint()
                                                               : artifact.prints.program;
  artifact.file = name;
  artifact.size = size;
  artifact.storage = std::move(storage);
  return artifact;
}

Result<Artifact> Artifact::parse(std::span<const std::byte> bytes, std::string_view name) {
  uint64_t room = (bytes.size() + format::alignment) / format::alignment * format::alignment;
  std::unique_ptr<std::byte[], Free> storage(
      static_cast<std::byte *>(std::aligned_alloc(format::alignment, room)));
  if (!storage)
    return fail("{}: no memory for {} bytes", name, bytes.size());
  std::ranges::copy(bytes, storage.get());
  auto artifact = verify(std::move(storage), bytes.size(), name);
  if (!artifact)
    return std::unexpected(std::move(artifact.error()).within(name));
  return artifact;
}

Result<Artifact> Artifact::load(const std::filesystem::path &path) {
  DOPPEL_TRY(File file, File::openRegular(path));
  uint64_t size = file.size();
  uint64_t room = (size + format::alignment) / format::alignment * format::alignment;
  std::unique_ptr<std::byte[], Free> storage(
      static_cast<std::byte *>(std::aligned_alloc(format::alignment, room)));
  if (!storage)
    return fail("{}: no memory for {} bytes", path.string(), size);
  DOPPEL_CHECK(file.read(storage.get(), size));
  auto artifact = verify(std::move(storage), size, path.string());
  if (!artifact)
    return std::unexpected(std::move(artifact.error()).within(path.string()));
  return artifact;
}

} // namespace doppel::runtime
