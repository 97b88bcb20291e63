// A run on a device that is as late as it may be is the run that a CPU makes: the same states, the
// same lines, the same end.
#include "runtime/core/File.h"
#include "runtime/train/Trainer.h"
#include "test/unit/LateDevice.h"
#include "test/unit/ToyProgram.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unistd.h>

namespace doppel::runtime::test {

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kNever = 1 << 20; ///< a seed that no step has the number of

struct Observer : TrainObserver {
  void loading(std::string_view, int64_t, int64_t) override {}
  void configured(const std::vector<ConfigurationLine> &lines) override {
    for (const ConfigurationLine &line : lines)
      if (line.name == "memory")
        memory = line.value;
  }
  void stepped(const StepReport &report) override {
    if (report.step == stopAt)
      stop = true;
  }
  void checkpointed(const fs::path &, int64_t step) override { checkpoints.push_back(step); }
  void warned(const std::string &) override {}
  int64_t stopAt = -1;
  std::atomic<bool> stop = false;
  std::vector<int64_t> checkpoints;
  std::string memory;
};

class TrainLate : public testing::Test {
protected:
  TrainLate() : artifact(toyArtifact()) {
    root = fs::temp_directory_path() / ("doppel-late-" + std::to_string(getpid()));
    fs::remove_all(root);
  }
  ~TrainLate() override {
    registerDevice("cpu", cpu::openCpuDevice);
    fs::remove_all(root);
  }

  void beLate(size_t slabBytes = SIZE_MAX, std::optional<DeviceMemory> own = std::nullopt) {
    registerDevice(
        "cpu",
        [=](const schema::Program &, const DeviceOptions &) -> Result<std::unique_ptr<Device>> {
          return std::make_unique<LateDevice>(1, slabBytes, own);
        });
  }

  Result<TrainSummary> run(const std::string &name, Observer &observer, uint64_t seed = kNever) {
    RunFolder folder = RunFolder::open(root / name, FolderMode::Fresh).value();
    TrainOptions options;
    options.artifact = "toy.dpx";
    options.data = "shapes:40,size=16"; // 30,720 bytes, ten steps an epoch
    options.epochs = 1;
    options.seed = seed;
    options.checkpointSteps = 3;
    options.threads = 1;
    return train(options, artifact, folder, observer, observer.stop);
  }

  /// Steps and losses of a run's metrics.
  std::vector<std::pair<int64_t, float>> metrics(const std::string &name) {
    std::vector<std::pair<int64_t, float>> lines;
    std::istringstream text(readFile(root / name / "metrics.jsonl").value());
    for (std::string line; std::getline(text, line);) {
      auto json = nlohmann::json::parse(line);
      lines.emplace_back(json["step"], json["loss"]);
    }
    return lines;
  }
  std::string states(const std::string &name, int64_t step) {
    return readFile(root / name / "checkpoints" / fmt::format("step-{:08}", step) /
                    "states.safetensors")
        .value_or("");
  }

  Artifact artifact;
  fs::path root;
};

TEST_F(TrainLate, IsTheRunOfACpu) {
  Observer cpu, resident, sent;
  ASSERT_TRUE(run("cpu", cpu));
  beLate();
  ASSERT_TRUE(run("resident", resident));
  beLate(10'000); // room for two batches, but not for all
  auto summary = run("sent", sent);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->step, 10);
  EXPECT_EQ(metrics("cpu").size(), 10u);
  EXPECT_EQ(cpu.checkpoints, (std::vector<int64_t>{3, 6, 9, 10}));
  EXPECT_FALSE(states("cpu", 10).empty());
  for (const char *name : {"resident", "sent"}) {
    EXPECT_EQ(metrics(name), metrics("cpu"));
    EXPECT_EQ(states(name, 9), states("cpu", 9));
    EXPECT_EQ(states(name, 10), states("cpu", 10));
  }
  EXPECT_EQ(resident.checkpoints, cpu.checkpoints);
  EXPECT_EQ(summary->lastLoss, metrics("cpu").back().second);
}

TEST_F(TrainLate, PicturesTakeADevicesMemoryBeforeTheFirstStep) {
  constexpr uint64_t mebibyte = 1 << 20, pictures = 40 * 16 * 16 * 3 + 1;
  auto told = [&](uint64_t free, size_t slabBytes = SIZE_MAX) {
    beLate(slabBytes, DeviceMemory{free, 1024 * mebibyte});
    Observer observer;
    fs::remove_all(root);
    auto summary = run("late", observer);
    EXPECT_TRUE(summary) << summary.error().message;
    return observer.memory.substr(
        std::min(observer.memory.size(), observer.memory.find("pictures")));
  };
  // 256 MiB are left to the driver.
  EXPECT_EQ(told(256 * mebibyte + pictures),
            "pictures 0.0 (all of them); 256 of 1024 MiB are free");
  EXPECT_EQ(told(256 * mebibyte + pictures - 1),
            "pictures 0.0 (two batches); 256 of 1024 MiB are free");
  EXPECT_EQ(told(512 * mebibyte, 10'000), "pictures 0.0 (two batches); 512 of 1024 MiB are free");
  // Where kernels read the host's memory nothing is told of a device's.
  registerDevice("cpu", cpu::openCpuDevice);
  Observer observer;
  ASSERT_TRUE(run("cpu", observer));
  EXPECT_EQ(observer.memory.find("pictures"), std::string::npos) << observer.memory;
}

TEST_F(TrainLate, WithoutRoomForTwoBatchesNoRunIsBegun) {
  beLate(2'000); // the program alone
  Observer observer;
  auto summary = run("late", observer);
  ASSERT_FALSE(summary);
  EXPECT_TRUE(summary.error().message.starts_with("no room for 2 batches of pictures of 1 MiB: "))
      << summary.error().message;
  EXPECT_FALSE(fs::exists(root / "late" / "run.json"));
  EXPECT_FALSE(fs::exists(root / "late" / "checkpoints"));
}

TEST_F(TrainLate, ALossThatIsNotFiniteEndsItWithTheStepThatMadeIt) {
  for (bool late : {false, true}) {
    SCOPED_TRACE(late);
    if (late)
      beLate();
    Observer observer;
    std::string name = late ? "late" : "cpu";
    auto summary = run(name, observer, 4);
    ASSERT_FALSE(summary);
    EXPECT_TRUE(summary.error().message.starts_with(
        "the loss is not finite at step 4 (epoch 0); the first such value is made by matmul at "
        "toy.dpl:5:9. Checkpoints up to here are kept in "))
        << summary.error().message;
    EXPECT_EQ(metrics(name).size(), 4u);
    EXPECT_EQ(observer.checkpoints, std::vector<int64_t>{3});
  }
}

TEST_F(TrainLate, StoppedItEndsWithACheckpointOfAllThatWasSubmitted) {
  beLate();
  Observer observer;
  observer.stopAt = 3;
  auto summary = run("late", observer);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_TRUE(summary->interrupted);
  EXPECT_EQ(summary->step, int64_t(metrics("late").size()));
  EXPECT_LE(summary->step, 5);
  EXPECT_EQ(observer.checkpoints.back(), summary->step);
}

} // namespace
} // namespace doppel::runtime::test
