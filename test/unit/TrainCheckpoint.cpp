// A checkpoint is whole, finite and of its run, or it is passed over for one that is.
#include "runtime/core/File.h"
#include "runtime/core/Safetensors.h"
#include "runtime/train/Checkpoint.h"
#include "test/unit/ArtifactFixture.h"
#include "test/unit/FakeDevice.h"

#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <sys/stat.h>
#include <unistd.h>

namespace doppel::runtime::test {

namespace {

namespace fs = std::filesystem;

class TrainCheckpoint : public testing::Test {
protected:
  void SetUp() override {
    folder = fs::temp_directory_path() / ("doppel-checkpoint-" + std::to_string(getpid()));
    fs::remove_all(folder);
    fs::create_directory(folder);
    auto parsed = Artifact::parse(artifactOf(ProgramParts().bytes()), "toy.dpx");
    ASSERT_TRUE(parsed) << parsed.error().message;
    artifact.emplace(*std::move(parsed));
    auto created = Executable::create(*artifact, device);
    ASSERT_TRUE(created) << created.error().message;
    executable = *std::move(created);
    run = {.states = artifact->fingerprints().states,
           .method = artifact->fingerprints().method,
           .seed = 5,
           .samples = 8,
           .epochs = 2,
           .pictures = 9};
  }
  void TearDown() override { fs::remove_all(folder); }

  void setStates(float value) {
    std::vector<float> values(64, value);
    for (size_t i = 0; i < executable->states().size(); ++i)
      ASSERT_TRUE(executable->writeState(i, std::as_bytes(std::span(values))));
  }
  float state(size_t index = 0) {
    float value;
    std::memcpy(&value, executable->readState(index)->data(), sizeof(value));
    return value;
  }
  CheckpointManifest manifestAt(int64_t step) {
    return {.run = run, .program = program, .step = step, .data = "shapes"};
  }
  /// Writes a checkpoint whose states are all `step`.
  fs::path write(int64_t step) {
    setStates(float(step));
    auto written = writeCheckpoint(folder, *executable, manifestAt(step));
    EXPECT_TRUE(written) << written.error().message;
    return written.value_or("");
  }
  Result<std::optional<RestoredCheckpoint>> restore(std::optional<int64_t> step = std::nullopt) {
    warnings.clear();
    setStates(-1);
    return restoreCheckpoint(folder, run, step, *executable,
                             [&](const std::string &text) { warnings.push_back(text); });
  }
  /// Expects that a restore takes the checkpoint of `step`, and one warning with `warning`.
  void expectStep(int64_t step, const std::string &warning) {
    auto restored = restore();
    ASSERT_TRUE(restored) << restored.error().message;
    ASSERT_TRUE(*restored);
    EXPECT_EQ((*restored)->manifest.step, step);
    EXPECT_EQ(state(0), float(step));
    EXPECT_EQ(state(1), float(step));
    ASSERT_EQ(warnings.size(), warning.empty() ? 0u : 1u);
    if (!warning.empty()) {
      EXPECT_NE(warnings[0].find(warning), std::string::npos) << warnings[0];
    }
  }
  /// Rewrites the states' file of a checkpoint, with a manifest that agrees.
  void replaceStates(const fs::path &checkpoint, int64_t step, const std::string &bytes) {
    std::ofstream(checkpoint / "states.safetensors", std::ios::binary) << bytes;
    CheckpointManifest manifest = manifestAt(step);
    manifest.statesBytes = bytes.size();
    manifest.statesChecksum = XXH64(bytes.data(), bytes.size(), 0);
    std::ofstream(checkpoint / "manifest.json") << textOf(manifest);
  }

  fs::path folder;
  FakeDevice device;
  std::optional<Artifact> artifact;
  std::unique_ptr<Executable> executable;
  RunIdentity run;
  uint64_t program = 17;
  std::vector<std::string> warnings;
};

TEST_F(TrainCheckpoint, RestoresTheNewestAndKeepsTwo) {
  auto none = restore();
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  for (int64_t step : {1, 2, 3})
    write(step);
  expectStep(3, "");
  EXPECT_EQ(listCheckpoints(folder)->size(), 2u);
  EXPECT_EQ(restore(2).value()->manifest.step, 2);
  EXPECT_FALSE(*restore(1));
}

TEST_F(TrainCheckpoint, OrderIsOfNumbers) {
  write(99999999);
  write(100000000);
  expectStep(100000000, "");
}

TEST_F(TrainCheckpoint, NamesThatAreNoStepsAreNoCheckpoints) {
  write(1);
  for (const char *name : {"step-2", "step-0000000a", "step--0000002", "step-", "step-00000002x"})
    fs::create_directory(folder / name);
  EXPECT_EQ(listCheckpoints(folder)->size(), 1u);
  expectStep(1, "");
}

TEST_F(TrainCheckpoint, ATornOneIsPassedOver) {
  write(1);
  fs::path newest = write(2);
  fs::resize_file(newest / "states.safetensors", 100);
  expectStep(1, "has 100 bytes, its manifest says");
  fs::remove(newest / "states.safetensors");
  expectStep(1, "cannot open");
  ASSERT_EQ(mkfifo((newest / "states.safetensors").c_str(), 0600), 0);
  expectStep(1, "no regular file");
}

TEST_F(TrainCheckpoint, EveryDamagedByteOfTheStatesIsSeen) {
  write(1);
  fs::path file = write(2) / "states.safetensors";
  std::string good = readFile(file).value();
  for (size_t at = 0; at < good.size(); at += 7) {
    std::string bad = good;
    bad[at] ^= 1;
    std::ofstream(file, std::ios::binary) << bad;
    expectStep(1, "the checkpoint is damaged");
  }
}

TEST_F(TrainCheckpoint, ADamagedManifestIsPassedOver) {
  write(1);
  fs::path manifest = write(2) / "manifest.json";
  std::ofstream(manifest) << "{}";
  expectStep(1, "is damaged, or of another version");
  fs::remove(manifest);
  expectStep(1, "cannot open");
  fs::create_symlink("/dev/zero", manifest);
  expectStep(1, "no regular file");
}

TEST_F(TrainCheckpoint, OneThatIsNotItsFoldersIsPassedOver) {
  write(1);
  write(2);
  fs::rename(folder / "step-00000002", folder / "step-00000007");
  expectStep(1, "is of step 2, which its folder is not named by");
}

TEST_F(TrainCheckpoint, OneOfAnotherRunIsPassedOver) {
  write(1);
  run.seed = 6;
  write(2);
  run.seed = 5;
  expectStep(1, "is of another run than the run.json beside it");
}

TEST_F(TrainCheckpoint, OneOfOtherStatesIsAnError) {
  ++run.states;
  write(1);
  auto restored = restore();
  ASSERT_FALSE(restored);
  EXPECT_NE(
      restored.error().message.find("has not the states of this artifact: their kinds differ"),
      std::string::npos)
      << restored.error().message;
}

TEST_F(TrainCheckpoint, OneOfAnotherMethodIsOfAnotherRun) {
  write(1);
  ++run.method;
  write(2);
  --run.method;
  expectStep(1, "is of another run than the run.json beside it");
}

TEST_F(TrainCheckpoint, OneOfAnotherProgramIsLoaded) {
  ++program;
  write(1);
  auto restored = restore();
  ASSERT_TRUE(restored && *restored);
  EXPECT_EQ(state(), 1.0f);
  EXPECT_EQ((*restored)->manifest.program, program);
}

TEST_F(TrainCheckpoint, WhereNoneIsWholeTheErrorIsTheNewests) {
  fs::resize_file(write(1) / "states.safetensors", 5);
  fs::resize_file(write(2) / "states.safetensors", 7);
  auto restored = restore();
  ASSERT_FALSE(restored);
  EXPECT_NE(restored.error().message.find("has 7 bytes"), std::string::npos)
      << restored.error().message;
}

/// Checksums are right; what is wrong is what the file says.
TEST_F(TrainCheckpoint, HostileStatesAreRefusedWithASentence) {
  write(1);
  fs::path newest = write(2);
  std::vector<TensorEntry> own = {{"weight", "F32", {8, 8}, 0, 256},
                                  {"queue", "F32", {8, 8}, 256, 512}};
  std::string body(512, '\0');
  auto expect = [&](const char *message, std::vector<TensorEntry> entries) {
    replaceStates(newest, 2, safetensorsHeader(entries) + body.substr(0, entries.back().end));
    expectStep(1, message);
  };
  auto changed = [&](auto change) {
    auto entries = own;
    change(entries);
    return entries;
  };
  expect("lacks the state 'queue'", changed([](auto &e) { e[1].name = "other"; }));
  expect("state 'weight' is F32 [64], the artifact's is F32 [8, 8]",
         changed([](auto &e) { e[0].shape = {64}; }));
  expect("state 'weight' is I32 [8, 8], the artifact's is F32",
         changed([](auto &e) { e[0].dtype = "I32"; }));
  body.resize(516);
  expect("has the state 'more'", changed([](auto &e) {
           e.push_back({"more", "F32", {}, 512, 516});
         }));
  replaceStates(newest, 2, std::string("\0\0\0\0\0\0\0\x10", 8));
  expectStep(1, "a header of 1152921504606846976 bytes");
  // The same in another order is the same.
  std::vector<TensorEntry> turned = {{"queue", "F32", {8, 8}, 0, 256},
                                     {"weight", "F32", {8, 8}, 256, 512}};
  std::vector<float> values(128, 3.0f);
  std::fill(values.begin() + 64, values.end(), 2.0f);
  replaceStates(newest, 2,
                safetensorsHeader(turned) +
                    std::string(reinterpret_cast<char *>(values.data()), 512));
  ASSERT_EQ(restore().value()->manifest.step, 2);
  EXPECT_EQ(state(0), 2.0f);
  EXPECT_EQ(state(1), 3.0f);
}

TEST_F(TrainCheckpoint, WhatIsNotFiniteIsNotWritten) {
  write(1);
  setStates(2);
  std::vector<float> values(64, 2);
  values[17] = std::numeric_limits<float>::infinity();
  ASSERT_TRUE(executable->writeState(0, std::as_bytes(std::span(values))));
  auto written = writeCheckpoint(folder, *executable, manifestAt(2));
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("parameter 'weight' is not finite (its element 17)"),
            std::string::npos)
      << written.error().message;
  values[17] = 2;
  ASSERT_TRUE(executable->writeState(0, std::as_bytes(std::span(values))));
  values[63] = std::numeric_limits<float>::quiet_NaN();
  ASSERT_TRUE(executable->writeState(1, std::as_bytes(std::span(values))));
  written = writeCheckpoint(folder, *executable, manifestAt(2));
  ASSERT_FALSE(written);
  // The queue is the launch's output, whose place in the spec is known.
  EXPECT_NE(written.error().message.find(
                "state 'queue' is not finite (its element 63), written by matmul at toy.dpl:5:9"),
            std::string::npos)
      << written.error().message;
  EXPECT_EQ(entriesOf(folder)->size(), 1u) << "a temporary folder stayed";
  expectStep(1, "");
}

TEST_F(TrainCheckpoint, AFolderThatWasRemovedIsNotMadeAgain) {
  fs::remove_all(folder);
  auto written = writeCheckpoint(folder / "checkpoints", *executable, manifestAt(1));
  ASSERT_FALSE(written);
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(TrainCheckpoint, TheSameStepIsReplaced) {
  write(1);
  std::ofstream(folder / "step-00000001" / "states.safetensors") << "torn";
  write(1);
  expectStep(1, "");
  EXPECT_EQ(entriesOf(folder)->size(), 1u);
}

TEST_F(TrainCheckpoint, WhatAKilledWriterLeftGoesWithTheNext) {
  fs::create_directory(folder / ".tmp-step-00000009");
  std::ofstream(folder / ".tmp-step-00000009" / "states.safetensors") << "half";
  write(1);
  EXPECT_EQ(entriesOf(folder)->size(), 1u);
}

TEST_F(TrainCheckpoint, AMissingKernelIsNamed) {
  device.missing = {"map_0"};
  auto created = Executable::create(*artifact, device);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().kind, ErrorKind::User);
  EXPECT_EQ(created.error().message, "function 'step': instructions[2] (launch of kernels[0]): the "
                                     "code segment has no kernel 'map_0'");
}

} // namespace
} // namespace doppel::runtime::test
