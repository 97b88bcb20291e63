// What the loader accepts it has verified: no truncation, no flipped bit and no field out of range
// gets through, and each error names what is wrong.
#include "test/unit/ArtifactFixture.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace doppel::runtime::test {

namespace {

std::string errorOf(const std::vector<std::byte> &file) {
  auto artifact = Artifact::parse(file, "toy.dpx");
  return artifact ? "" : artifact.error().message;
}

TEST(ArtifactLoader, GivesBackWhatWasWritten) {
  std::vector<std::byte> file = artifactOf(ProgramParts().bytes());
  auto artifact = Artifact::parse(file, "toy.dpx");
  ASSERT_TRUE(artifact) << artifact.error().message;
  EXPECT_EQ(artifact->program().method()->str(), "Toy");
  EXPECT_EQ(artifact->specSource(), "method Toy {}\n");
  const schema::CodeSet *code = artifact->code(schema::CodeKind::Elf);
  ASSERT_NE(code, nullptr);
  EXPECT_EQ(artifact->module(*code, 0).size(), 14u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(artifact->module(*code, 0).data()) % 64, 0u);
  EXPECT_EQ(artifact->code(schema::CodeKind::Cubin, "sm_90"), nullptr);
  EXPECT_EQ(artifact->bytes().size(), file.size());
  ASSERT_NE(artifact->function("step"), nullptr);
  EXPECT_EQ(artifact->function("step")->instructions()->size(), 8u);
  EXPECT_EQ(artifact->function("preview"), nullptr);
  EXPECT_EQ(bufferBytes(*artifact->program().buffers()->Get(2)), 256u);
}

Fingerprints printsOf(const std::function<void(ProgramParts &)> &change) {
  ProgramParts parts;
  change(parts);
  auto artifact = Artifact::parse(artifactOf(parts.bytes()), "toy.dpx");
  EXPECT_TRUE(artifact) << artifact.error().message;
  return artifact ? artifact->fingerprints() : Fingerprints();
}

TEST(ArtifactLoader, FingerprintsTellStatesMethodAndProgram) {
  Fingerprints base = printsOf([](auto &) {});
  EXPECT_EQ(base, printsOf([](auto &) {}));
  EXPECT_EQ(base.method, 17u);

  Fingerprints placed = printsOf([](auto &p) { p.targetKind = "cuda"; });
  EXPECT_EQ(placed.states, base.states);
  EXPECT_EQ(placed.method, base.method);
  EXPECT_NE(placed.program, base.program);

  Fingerprints said = printsOf([](auto &p) { p.method = 18; });
  EXPECT_EQ(said.states, base.states);
  EXPECT_NE(said.method, base.method);

  for (auto change : std::initializer_list<void (*)(ProgramParts &)>{
           [](ProgramParts &p) { p.states[0].name = "weights"; },
           [](ProgramParts &p) { p.states[0].kind = schema::StateKind::Ema; },
           [](ProgramParts &p) {
             p.buffers.push_back({0, 256, schema::DType::F32, {64}});
             p.states[1].buffer = 8;
           },
           [](ProgramParts &p) {
             p.buffers.push_back({0, 256, schema::DType::I32, {8, 8}});
             p.states[1].buffer = 8;
           },
           [](ProgramParts &p) { p.states.pop_back(); }}) {
    Fingerprints other = printsOf(change);
    EXPECT_NE(other.states, base.states);
    EXPECT_EQ(other.method, base.method);
  }
}

TEST(ArtifactLoader, AnotherOrderOfStatesIsNoOtherNetwork) {
  Fingerprints base = printsOf([](auto &) {});
  Fingerprints other = printsOf([](auto &p) { std::swap(p.states[0], p.states[1]); });
  EXPECT_EQ(other.states, base.states);
  EXPECT_NE(other.program, base.program);
}

TEST(ArtifactLoader, WhatWasCompiledFromALaterPhaseHasTheMethodOfItsProgram) {
  Fingerprints unsaid = printsOf([](auto &p) { p.method = 0; });
  EXPECT_EQ(unsaid.method, unsaid.program);
}

TEST(ArtifactLoader, RejectsEveryTruncation) {
  std::vector<std::byte> file = artifactOf(ProgramParts().bytes());
  for (size_t size = 0; size < file.size(); ++size)
    ASSERT_NE(errorOf({file.begin(), file.begin() + size}), "") << "cut to " << size;
  file.push_back(std::byte(0));
  EXPECT_NE(errorOf(file).find("bytes behind its end"), std::string::npos);
}

TEST(ArtifactLoader, RejectsEveryFlippedBit) {
  std::vector<std::byte> file = artifactOf(ProgramParts().bytes());
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    file[bit / 8] ^= std::byte(1 << bit % 8);
    ASSERT_NE(errorOf(file), "") << "byte " << bit / 8 << " bit " << bit % 8;
    file[bit / 8] ^= std::byte(1 << bit % 8);
  }
  EXPECT_EQ(errorOf(file), "");
}

/// Checksums made right again after each flip: what the checks behind them must find, or the change
/// is of a value that may be any. Nothing may crash (the sanitizers watch).
TEST(ArtifactLoader, SurvivesFlippedBitsWithRightChecksums) {
  std::string program = ProgramParts().bytes();
  size_t rejected = 0;
  for (size_t bit = 0; bit < program.size() * 8; ++bit) {
    program[bit / 8] ^= char(1 << bit % 8);
    auto artifact = Artifact::parse(artifactOf(program), "toy.dpx");
    if (!artifact)
      ++rejected;
    else
      for (const schema::Buffer *buffer : *artifact->program().buffers())
        ASSERT_LE(buffer->offset() + bufferBytes(*buffer),
                  artifact->program().arenas()->Get(buffer->arena())->bytes());
    program[bit / 8] ^= char(1 << bit % 8);
  }
  // FlatBuffers' verifier alone rejects about half.
  EXPECT_GT(rejected, program.size() * 8 * 6 / 10);
}

TEST(ArtifactLoader, TellsAnotherVersionAndHowToRebuild) {
  auto file = artifactOf(ProgramParts().bytes(), [](format::Header &header, auto &) {
    header.major = 7;
    header.minor = 3;
  });
  std::string error = errorOf(file);
  EXPECT_NE(
      error.find("toy.dpx: has schema version 7.3 (made by doppel test), this program reads 2.0"),
      std::string::npos)
      << error;
  EXPECT_NE(error.find("doppel compile"), std::string::npos);
}

TEST(ArtifactLoader, TellsOtherFilesAndTextTransfers) {
  std::vector<std::byte> file = artifactOf(ProgramParts().bytes());
  std::vector<std::byte> other(200, std::byte('x'));
  EXPECT_NE(errorOf(other).find("is not a Doppel artifact"), std::string::npos);
  file[0] &= std::byte(0x7f);
  EXPECT_NE(errorOf(file).find("transfer as text"), std::string::npos);
}

TEST(ArtifactLoader, ChecksThePartsOfTheFile) {
  std::string program = ProgramParts().bytes();
  using Segments = std::vector<format::Segment>;
  auto expect = [&](const char *message, auto change) {
    std::string error = errorOf(artifactOf(program, change));
    EXPECT_NE(error.find(message), std::string::npos) << error;
  };
  expect("segments[0].kind 9 is not known", [](format::Header &, Segments &s) { s[0].kind = 9; });
  expect("segments[1] holds code that no kernel uses",
         [](format::Header &, Segments &s) { s[1].kind = 1; });
  expect("code[0]: segments[0] is no Elf segment",
         [](format::Header &, Segments &s) { s[0].kind = 3; });
  expect("segments[1] is a second spec source segment",
         [](format::Header &, Segments &s) { s[0].kind = 4; });
  expect("exceeds the file's",
         [](format::Header &, Segments &s) { s[0].bytes = ~uint64_t(0) - 8; });
  expect("no multiple of 64", [](format::Header &, Segments &s) { s[0].offset += 1; });
  expect("lies inside the part before it", [](format::Header &h, Segments &s) {
    s[0].offset = h.programOffset;
    s[0].bytes = h.programBytes;
    s[0].checksum = h.programChecksum;
  });
  expect("the checksum of program is wrong",
         [](format::Header &h, Segments &) { h.programChecksum ^= 1; });
  expect("header.flags", [](format::Header &h, Segments &) { h.flags = 1; });
  expect("exceeds 67108864",
         [](format::Header &h, Segments &) { h.programBytes = uint64_t(1) << 40; });
}

/// One field of the program wrong, and the element that the error must name.
struct Spoiled {
  const char *message;
  std::function<void(ProgramParts &)> change;
};

TEST(ArtifactLoader, NamesTheElementThatIsWrong) {
  const Spoiled cases[] = {
      {"arenas[1] is a second 'state'", [](auto &p) { std::get<0>(p.arenas[1]) = "state"; }},
      {"arenas[1] is a second arena of its kind",
       [](auto &p) { std::get<1>(p.arenas[1]) = schema::ArenaKind::State; }},
      {"arenas[0].kind 0 is not known",
       [](auto &p) { std::get<1>(p.arenas[0]) = schema::ArenaKind::Unspecified; }},
      {"arenas[2].bytes 100", [](auto &p) { std::get<2>(p.arenas[2]) = 100; }},
      {"arenas: there must be one of each kind",
       [](auto &p) {
         p.arenas.pop_back();
         for (auto &buffer : p.buffers)
           buffer.arena = 0;
       }},
      {"buffers[3].arena 3 exceeds the 3 arenas", [](auto &p) { p.buffers[3].arena = 3; }},
      {"buffers[4].dtype 200 is not known",
       [](auto &p) { p.buffers[4].dtype = schema::DType(200); }},
      {"buffers[4].offset 960 + 256 exceeds arena 'transient' of 1024",
       [](auto &p) { p.buffers[4].offset = 960; }},
      {"buffers[4].offset 18446744073709551552 + 256 exceeds",
       [](auto &p) { p.buffers[4].offset = ~uint64_t(63); }},
      {"buffers[4]: its shape has the extent -8 and overflows",
       [](auto &p) {
         p.buffers[4].shape = {-8, -8};
       }},
      {"and overflows",
       [](auto &p) {
         p.buffers[4].shape = {int64_t(1) << 40, int64_t(1) << 40};
       }},
      {"buffers[4].offset 2 is no multiple of its element's 4 bytes",
       [](auto &p) { p.buffers[4].offset = 2; }},
      {"instructions[1] (call): buffers[4].offset 4 is no multiple of 64",
       [](auto &p) { p.buffers[4].offset = 4; }},
      {"buffers[0] holds what only the host writes", [](auto &p) { p.buffers[0].arena = 1; }},
      {"states[1] is a second 'weight'", [](auto &p) { p.states[1].name = "weight"; }},
      {"states[0] has no name", [](auto &p) { p.states[0].name = ""; }},
      {"states[1] ('queue'): kind 77 is not known",
       [](auto &p) { p.states[1].kind = schema::StateKind(77); }},
      {"states[1] ('queue'): buffer 99 exceeds the 8 buffers",
       [](auto &p) { p.states[1].buffer = 99; }},
      {"states[1] ('queue'): buffers[4] is not in the state arena",
       [](auto &p) { p.states[1].buffer = 4; }},
      {"states[0] ('weight'): location 5 exceeds the 2 locations",
       [](auto &p) { p.states[0].location = 5; }},
      {"states 'weight' and 'queue' overlap", [](auto &p) { p.buffers[3].offset = 128; }},
      {"kernels[0].kind 9 is not known",
       [](auto &p) { p.kernels[0].kind = schema::KernelKind(9); }},
      {"kernels[0].grid 0 is out of range", [](auto &p) { p.kernels[0].grid = 0; }},
      {"kernels[0].scratch_bytes", [](auto &p) { p.kernels[0].scratch = ~uint64_t(0); }},
      {"functions[1] is a second 'init'", [](auto &p) { p.secondFunction = "init"; }},
      {"@step.instructions[0]: location 2 exceeds", [](auto &p) { p.instructionLocation = 2; }},
      {"@step.instructions[0]: origin 2 exceeds", [](auto &p) { p.instructionOrigin = 2; }},
      {"states[0] ('__metadata__'): checkpoints keep",
       [](auto &p) { p.states[0].name = "__metadata__"; }},
      {"states[1]: its name 'a?' is no UTF-8", [](auto &p) { p.states[1].name = "a\xff"; }},
      {"states[1]: its name 'a?[2J' is no UTF-8 or has control characters",
       [](auto &p) { p.states[1].name = "a\x1b[2J"; }},
      {"kernels[0]: its name 'map?0' is no", [](auto &p) { p.kernels[0].symbol = {"map\0000", 5}; }},
      {"arenas[1]: its name '?' is no", [](auto &p) { std::get<0>(p.arenas[1]) = "\n"; }},
      {"@init.outputs[0]: its name '?' is no", [](auto &p) { p.outputName = "\xc3"; }},
      {"target.kind '?' is no UTF-8", [](auto &p) { p.targetKind = "\xfe"; }},
      {"io: images[0] (buffers[0]) and run (buffers[1]) overlap",
       [](auto &p) { p.buffers[1].offset = 64; }},
      {"@step.instructions[0] (copy): 256 bytes to 64",
       [](auto &p) {
         p.copy = {2, 6};
       }},
      {"@step.instructions[0] (copy): buffer 50 exceeds",
       [](auto &p) {
         p.copy = {50, 4};
       }},
      {"(copy): writes buffers[0], which is the host's",
       [](auto &p) {
         p.copy = {4, 0};
       }},
      {"(call): operation 0 is not known",
       [](auto &p) { p.call = schema::LibraryOp::Unspecified; }},
      {"(call): operation 99 is not known", [](auto &p) { p.call = schema::LibraryOp(99); }},
      {"(call): Matmul takes 2 inputs", [](auto &p) { p.ints = {0}; }},
      {"(call): shapes [8, 8], [8, 8] and [4, 8] do not fit Matmul",
       [](auto &p) {
         p.buffers[5].shape = {4, 8};
       }},
      {"(call): buffers[6] holds I32, not F32", [](auto &p) { p.outputs = {6}; }},
      {"(call): the integer -1 is out of range",
       [](auto &p) {
         p.ints = {-1, 0};
       }},
      {"Conv2D takes 2 inputs", [](auto &p) { p.call = schema::LibraryOp::Conv2D; }},
      {"do not fit Conv2D",
       [](auto &p) {
         p.call = schema::LibraryOp::Conv2D;
         p.ints = {1, 1, 0, 0, 0, 0, 1, 1, 1, 0};
       }},
      {"(call): buffers[5] holds F32, not U8",
       [](auto &p) {
         p.call = schema::LibraryOp::MaxPool2D;
         p.inputs = {4};
         p.outputs = {5, 5};
         p.ints = {2, 2, 2, 2, 0, 0, 0, 0};
       }},
      {"(launch): kernel 1 exceeds the 1 kernels", [](auto &p) { p.kernel = 1; }},
      {"(launch): 4 outputs of 3 buffers", [](auto &p) { p.launchOutputs = 4; }},
      {"(launch): 0 outputs of 3 buffers", [](auto &p) { p.launchOutputs = 0; }},
      {"(launch): writes buffers[1], which is the host's", [](auto &p) { p.launchOutputs = 2; }},
      {"(collective start): kind 0 is not known",
       [](auto &p) { p.collective = schema::CollectiveKind::Unspecified; }},
      {"(collective start): dtypes of input and output differ",
       [](auto &p) { p.collectiveOutput = 6; }},
      {"do not make", [](auto &p) { p.collectiveInput = 7; }},
      {"(collective start): output overlaps input",
       [](auto &p) {
         p.buffers.push_back({1, 320, schema::DType::F32, {8, 8}});
         p.collectiveInput = 8;
       }},
      {"instructions[3] (collective start): order 1 is not 0",
       [](auto &p) {
         p.starts = {1, 0};
       }},
      {"instructions[5] (collective start): order 2 is not 1",
       [](auto &p) {
         p.starts = {0, 2};
       }},
      {"instructions[6] (collective wait): no collective 0 is under way",
       [](auto &p) {
         p.waits = {0, 0};
       }},
      {"@step: collective 1 has no wait",
       [](auto &p) {
         p.waits = {0}, p.checked = 2;
       }},
      {"instructions[5] (collective wait): no collective 1 is under way",
       [](auto &p) { p.starts = {0}; }},
      {"instructions[4]: writes buffers[5], which collective 0 uses until its wait",
       [](auto &p) {
         p.starts = {0, 1}, p.waits = {};
       }},
      {"instructions[4]: reads buffers[5], which collective 0 uses until its wait",
       [](auto &p) {
         p.starts = {0}, p.waits = {};
       }},
      {"@step.commit 9 exceeds the 8 instructions", [](auto &p) { p.commit = 9; }},
      {"kernels[0].module 1 exceeds the 1 modules", [](auto &p) { p.kernels[0].module = 1; }},
      {"code: there is none", [](auto &p) { p.code.clear(); }},
      {"code[0].kind 4 is not known", [](auto &p) { p.code[0].kind = schema::CodeKind(4); }},
      {"code[0]: 'sm_90' is no architecture of Elf",
       [](auto &p) { p.code[0].architecture = "sm_90"; }},
      {"code[0]: '' is no architecture of Ptx",
       [](auto &p) { p.code[0].kind = schema::CodeKind::Ptx; }},
      {"code[0]: segments[0] is no Cubin segment",
       [](auto &p) {
         p.code[0] = {schema::CodeKind::Cubin, "sm_90", {0}, {{1, 0}}};
       }},
      {"code[0]: segments[1] is no Elf segment", [](auto &p) { p.code[0].segments = {1}; }},
      {"code[0]: segments[2] is no Elf segment", [](auto &p) { p.code[0].segments = {2}; }},
      {"code[0]: 0 modules are none", [](auto &p) { p.code[0].segments.clear(); }},
      {"code[0]: segments[0] is another module too", [](auto &p) { p.code[0].segments = {0, 0}; }},
      {"code[1] is a second Elf for ''", [](auto &p) { p.code.push_back(p.code[0]); }},
      {"code[0]: 0 blocks for 1 kernels", [](auto &p) { p.code[0].blocks.clear(); }},
      {"code[0].blocks[0]: 0 threads and 0 shared bytes are out of range",
       [](auto &p) { p.code[0].blocks = {{0, 0}}; }},
      {"code[0].blocks[0]: 1025 threads", [](auto &p) { p.code[0].blocks = {{1025, 0}}; }},
      {"and 1048577 shared bytes", [](auto &p) { p.code[0].blocks = {{1, (1u << 20) + 1}}; }},
      {"(check): buffers[6] holds I32, but what is checked is F32",
       [](auto &p) { p.checked = 6; }},
      {"(check): buffers[8] holds F64, but what is checked is F32",
       [](auto &p) {
         p.buffers.push_back({1, 640, schema::DType::F64, {4}});
         p.checked = 8;
       }},
      {"@init.outputs[0] has no name", [](auto &p) { p.outputName = ""; }},
      {"@init.outputs[0]: buffer 8 exceeds", [](auto &p) { p.outputBuffer = 8; }},
      {"schedules[0] lacks its name or nodes", [](auto &p) { p.schedule.clear(); }},
      {"schedules[0].role 9 is not known",
       [](auto &p) { p.scheduleRole = schema::ScheduleRole(9); }},
      {"schedules[0]: location 2 exceeds the 2 locations", [](auto &p) { p.scheduleLocation = 2; }},
      {"schedules[0].nodes[2].op 99 is not known",
       [](auto &p) { p.schedule[2] = {schema::ScheduleOp(99), 0, 0, 0, 0, 0}; }},
      {"schedules[0].nodes[1]: location 7 exceeds the 2 locations",
       [](auto &p) { p.schedule[1] = {schema::ScheduleOp::Constant, 0, 0, 0, 7, 2}; }},
      {"schedules[0].nodes[2]: operand 2 is no node before it",
       [](auto &p) { p.schedule[2] = {schema::ScheduleOp::Less, 0, 2, 0, 1, 0}; }},
      {"batch 4 is not positive or no multiple of world 3", [](auto &p) { p.world = 3; }},
      {"epochs -1 is negative", [](auto &p) { p.epochs = -1; }},
      {"images[0]: buffers[0] is no list of 8 images", [](auto &p) { p.batch = 8; }},
      {"images[0]: buffers[2] is no list of 4 images", [](auto &p) { p.images[0].buffer = 2; }},
      {"images[0]: buffer 99 exceeds", [](auto &p) { p.images[0].buffer = 99; }},
      {"images: there are none", [](auto &p) { p.images.clear(); }},
      {"images[1] is a second 'image'", [](auto &p) { p.images.push_back(p.images[0]); }},
      {"images[1]: its buffer is another input's too",
       [](auto &p) {
         p.images.push_back({"depth", 0, 1, 16});
       }},
      {"images[0]: 5 channels of 8 bits", [](auto &p) { p.images[0].channels = 5; }},
      {"images[0]: 0 channels of 8 bits", [](auto &p) { p.images[0].channels = 0; }},
      {"images[0]: 3 channels of 12 bits", [](auto &p) { p.images[0].bits = 12; }},
      {"run: buffers[0] does not hold one run's scalars", [](auto &p) { p.run = 0; }},
      {"peak_bytes is 1, the arenas have 1536", [](auto &p) { p.peak = 1; }},
      {"program.target.architectures has '', which is no name",
       [](auto &p) { p.targetArchitectures = {"sm_80", ""}; }},
  };
  for (const Spoiled &spoiled : cases) {
    ProgramParts parts;
    spoiled.change(parts);
    std::string error = errorOf(artifactOf(parts.bytes()));
    EXPECT_NE(error.find(spoiled.message), std::string::npos)
        << "expected: " << spoiled.message << "\n  actual: " << error;
  }
}

TEST(ArtifactLoader, CollectivesCountTheirRanks) {
  using schema::CollectiveKind;
  auto withRanks = [](CollectiveKind kind, int64_t in, int64_t out) {
    ProgramParts parts;
    parts.world = 2;
    parts.buffers[0].shape = {2}; // of a batch of 4
    parts.collective = kind;
    parts.buffers.push_back({1, 0, schema::DType::F32, {in}});
    parts.buffers.push_back({1, 512, schema::DType::F32, {out}});
    parts.collectiveInput = 8, parts.collectiveOutput = 9;
    return errorOf(artifactOf(parts.bytes()));
  };
  for (auto [kind, in, out] : {std::tuple{CollectiveKind::AllReduceSum, 32, 32},
                               {CollectiveKind::AllGather, 32, 64},
                               {CollectiveKind::ReduceScatterSum, 64, 32}}) {
    EXPECT_EQ(withRanks(kind, in, out), "") << schema::EnumNameCollectiveKind(kind);
    for (auto [otherIn, otherOut] : {std::pair{32, 32}, {32, 64}, {64, 32}}) {
      if (otherIn == in && otherOut == out)
        continue;
      EXPECT_NE(withRanks(kind, otherIn, otherOut).find("do not make"), std::string::npos)
          << schema::EnumNameCollectiveKind(kind) << " " << otherIn << " to " << otherOut;
    }
  }
}

/// PTX for the least architecture and cubins for two, each in two modules.
TEST(ArtifactLoader, KnowsCodeOfSeveralKindsAndModules) {
  using format::SegmentKind, schema::CodeKind;
  ProgramParts parts;
  parts.targetKind = "cuda";
  parts.targetArchitectures = {"sm_80", "sm_90"};
  parts.kernels.push_back({"row_1", schema::KernelKind::Row, 7, 0, 1});
  parts.code = {{CodeKind::Ptx, "sm_80", {0, 1}, {{256, 0}, {128, 4096}}},
                {CodeKind::Cubin, "sm_80", {3, 2}, {{256, 0}, {128, 4096}}},
                {CodeKind::Cubin, "sm_90", {4, 5}, {{256, 0}, {512, 16384}}}};
  std::vector<SegmentPart> segments = {{SegmentKind::Ptx, "ptx a"},   {SegmentKind::Ptx, "ptx b"},
                                       {SegmentKind::Cubin, "80 b"},  {SegmentKind::Cubin, "80 a"},
                                       {SegmentKind::Cubin, "90 a"},  {SegmentKind::Cubin, "90 bb"},
                                       {SegmentKind::SpecSource, "x"}};
  auto artifact = Artifact::parse(artifactOf(parts.bytes(), {}, segments), "toy.dpx");
  ASSERT_TRUE(artifact) << artifact.error().message;
  const schema::CodeSet *least = artifact->code(CodeKind::Cubin, "sm_80");
  ASSERT_NE(least, nullptr);
  EXPECT_EQ(char(artifact->module(*least, 0)[3]), 'a');
  EXPECT_EQ(char(artifact->module(*least, 1)[3]), 'b');
  const schema::CodeSet *most = artifact->code(CodeKind::Cubin, "sm_90");
  ASSERT_NE(most, nullptr);
  EXPECT_EQ(artifact->module(*most, 1).size(), 5u);
  EXPECT_EQ(most->blocks()->Get(1)->threads(), 512u);
  EXPECT_EQ(artifact->code(CodeKind::Elf), nullptr);

  parts.code[2].segments = {4};
  EXPECT_NE(errorOf(artifactOf(parts.bytes(), {}, segments)).find("code[2]: 1 modules"),
            std::string::npos);
  parts.code.pop_back();
  EXPECT_NE(errorOf(artifactOf(parts.bytes(), {}, segments)).find("holds code that no kernel uses"),
            std::string::npos);
}

TEST(ArtifactLoader, ReadsFiles) {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("doppel-artifact-" + std::to_string(getpid()));
  std::vector<std::byte> file = artifactOf(ProgramParts().bytes());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char *>(file.data()), std::streamsize(file.size()));
  auto artifact = Artifact::load(path);
  EXPECT_TRUE(artifact) << artifact.error().message;
  std::filesystem::remove(path);
  auto missing = Artifact::load(path);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("cannot open"), std::string::npos);
  auto folder = Artifact::load("/");
  ASSERT_FALSE(folder);
  EXPECT_NE(folder.error().message.find("no regular file"), std::string::npos);
}

} // namespace

} // namespace doppel::runtime::test
