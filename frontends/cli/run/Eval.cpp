// `doppel eval`: weighted kNN and a linear classifier on the represented features.
#include "frontends/cli/Inputs.h"
#include "frontends/cli/run/Commands.h"
#include "frontends/cli/run/Terminal.h"

#include "runtime/eval/Knn.h"
#include "runtime/eval/Linear.h"
#include "runtime/eval/RawPixels.h"
#include "runtime/train/Checkpoint.h"
#include "runtime/train/Represent.h"
#include "runtime/train/RunFolder.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>

namespace doppel::cli {

using namespace runtime;

namespace {

namespace fs = std::filesystem;

struct Scores {
  double encoder = 0; ///< kNN
  std::optional<double> linear, raw, rawLinear;
  int64_t bank = 0, test = 0;
  int64_t step = 0;
  std::string note;
};

/// What is evaluated: an artifact, and the folder of its run if it has one.
struct Encoder {
  fs::path artifact;
  std::optional<fs::path> run;
};

Result<Encoder> findEncoder(const EvalOptions &options) {
  fs::path path = options.run;
  std::error_code ignored;
  DOPPEL_CHECK(expectRun(path, options.untrained));
  DOPPEL_CHECK(expectData(options.data));
  if (options.artifact)
    DOPPEL_CHECK(expectArtifact("eval", *options.artifact));
  if (options.test)
    DOPPEL_CHECK(expectData(*options.test));
  if (!fs::is_directory(path, ignored))
    return Encoder{path, std::nullopt};
  fs::path artifact = options.artifact ? fs::path(*options.artifact) : path / "artifact.dpx";
  if (!options.artifact && !fs::exists(artifact, ignored))
    return fail("{} holds no run (no artifact.dpx)", path.string());
  return Encoder{artifact, path};
}

/// Loads the states of a run, by the rule of --resume.
Result<CheckpointManifest> loadCheckpoint(const fs::path &run, std::optional<int64_t> step,
                                          Executable &executable) {
  std::optional<RunIdentity> identity;
  if (auto description = readDescription(run / kDescriptionFile))
    identity = *description;
  else
    warn(description.error().message);
  DOPPEL_TRY(std::optional<RestoredCheckpoint> restored,
             restoreCheckpoint(run / kCheckpointsFolder, identity, step, executable,
                               [](const std::string &message) { warn(message); }));
  if (restored) {
    if (restored->manifest.program != executable.fingerprints().program)
      warn("the run was computed by another program than the one that represents the images: "
           "features may differ in their last bits");
    return restored->manifest;
  }
  if (step)
    return fail("{} has no checkpoint of step {}", run.string(), *step);
  return fail("{} has no checkpoint yet", run.string());
}

Result<Scores> evaluate(const EvalOptions &options) {
  DOPPEL_TRY(Encoder encoder, findEncoder(options));
  DOPPEL_TRY(Artifact artifact, Artifact::load(encoder.artifact));
  std::unique_ptr<Device> device = makeCpuDevice(options.threads);
  DOPPEL_TRY(std::unique_ptr<Executable> executable, Executable::create(artifact, *device));
  if (!executable->has("represent"))
    return fail("the spec of {} has no `represent`", encoder.artifact.string());
  Scores scores;
  double holdout = 0; // the fraction of images that the run left out of training
  if (encoder.run && !options.untrained) {
    DOPPEL_TRY(CheckpointManifest manifest,
               loadCheckpoint(*encoder.run, options.step, *executable));
    scores.step = manifest.step;
    holdout = manifest.run.holdout;
  } else {
    if (encoder.run) {
      DOPPEL_TRY(RunIdentity recorded, recordedRun(*encoder.run));
      holdout = recorded.holdout;
    }
    DOPPEL_CHECK(executable->setRun({.seed = options.seed,
                                     .step = 0,
                                     .stepsPerEpoch = 1,
                                     .epochs = artifact.program().epochs(),
                                     .samples = 1}));
    DOPPEL_CHECK(executable->run("init"));
  }

  Progress progress;
  auto open = [&](const std::string &data, Split split, std::string_view name) {
    DataOptions dataOptions;
    dataOptions.threads = options.threads;
    // Data with a test split are evaluated on that, whatever the run was trained on.
    dataOptions.holdout = split == Split::TestOrAll ? 0 : holdout;
    dataOptions.holdoutIsOptional = true;
    dataOptions.progress = [&](std::string_view activity, int64_t done, int64_t total) {
      progress.update(activity, done, total, name);
    };
    auto dataset = openDataset(data, split, dataOptions);
    progress.finish();
    return dataset;
  };
  DOPPEL_TRY(std::unique_ptr<Dataset> bank, open(options.data, Split::Train, "bank images"));
  if (bank->classNames().empty())
    return fail(
        "{} has no classes, which an evaluation needs: put the images into one folder a class",
        options.data);
  std::error_code ignored;
  if (options.test && fs::equivalent(*options.test, options.data, ignored))
    return fail("--test and --data are both {}: every image would be recognised as itself",
                options.data);
  DOPPEL_TRY(std::unique_ptr<Dataset> test,
             options.test ? open(*options.test, Split::TestOrAll, "test images")
                          : open(options.data, Split::Test, "test images"));
  if (test->classNames().empty())
    return fail(
        "{} has no classes, which an evaluation needs: put the images into one folder a class",
        options.test.value_or(options.data));
  DOPPEL_CHECK(test->relabel(bank->classNames()));
  std::set<int32_t> known;
  for (int64_t sample = 0; sample < bank->size(); ++sample)
    known.insert(bank->label(sample));
  std::set<int32_t> unknown;
  for (int64_t sample = 0; sample < test->size(); ++sample)
    if (!known.contains(test->label(sample)))
      unknown.insert(test->label(sample));
  if (!unknown.empty())
    warn(fmt::format("{} of the classes have test images but no training images, so none of those "
                     "is recognised; the "
                     "first is '{}'",
                     unknown.size(), bank->classNames()[size_t(*unknown.begin())]));
  if (int32_t seen = test->classesSeen(); seen < bank->classesSeen())
    warn(fmt::format("{} of {} classes have no test images", bank->classesSeen() - seen,
                     bank->classesSeen()));
  if (known.size() == 1 && unknown.empty())
    warn(fmt::format("all images are of one class, '{}': any encoder recognises all of them",
                     bank->classNames()[size_t(*known.begin())]));
  auto represent = [&](const Dataset &dataset, std::string_view name) {
    auto features = representDataset(*executable, dataset, [&](int64_t done, int64_t total) {
      progress.update("represent", done, total, name);
    });
    progress.finish();
    // After the last was read: of data that are not kept in memory, broken ones are found only
    // then.
    for (const std::string &remark : dataset.remarks())
      warn(fmt::format("{}: {}", name, remark));
    if (std::string broken = describeBroken(dataset.broken()); !broken.empty())
      warn(fmt::format("{}: {}", name, broken));
    return features;
  };
  auto classes = int32_t(bank->classNames().size());
  KnnOptions knn{options.neighbours, float(options.temperature)};
  DOPPEL_TRY(LabelledFeatures bankFeatures, represent(*bank, "bank images"));
  DOPPEL_TRY(LabelledFeatures testFeatures, represent(*test, "test images"));
  DOPPEL_TRY(KnnResult result, classifyByNeighbours(bankFeatures, testFeatures, classes, knn));
  scores.encoder = result.accuracy;
  scores.note = result.note;
  scores.bank = bankFeatures.size();
  scores.test = testFeatures.size();
  if (options.linear) {
    DOPPEL_TRY(LinearResult linear, classifyLinearly(bankFeatures, testFeatures, classes));
    scores.linear = linear.accuracy;
  }
  if (options.raw) {
    DOPPEL_TRY(LabelledFeatures bankPixels, rawPixelFeatures(*bank));
    DOPPEL_TRY(LabelledFeatures testPixels, rawPixelFeatures(*test));
    DOPPEL_TRY(KnnResult raw, classifyByNeighbours(bankPixels, testPixels, classes, knn));
    scores.raw = raw.accuracy;
    if (options.linear) {
      DOPPEL_TRY(LinearResult linear, classifyLinearly(bankPixels, testPixels, classes));
      scores.rawLinear = linear.accuracy;
    }
  }
  return scores;
}

} // namespace

int runEval(const EvalOptions &options) {
  auto scores = evaluate(options);
  if (!scores)
    return report(scores.error());
  if (options.json) {
    nlohmann::ordered_json json{{"knn", scores->encoder},
                                {"step", scores->step},
                                {"bank", scores->bank},
                                {"test", scores->test}};
    for (auto [name, value] : {std::pair{"linear", scores->linear},
                               {"raw_pixels", scores->raw},
                               {"raw_pixels_linear", scores->rawLinear}})
      if (value)
        json[name] = *value;
    printOut("{}\n", json.dump());
    return 0;
  }
  std::string encoder = options.untrained ? fmt::format("untrained encoder (seed {})", options.seed)
                                          : fmt::format("encoder of step {}", scores->step);
  auto percent = [](double value) { return fmt::format("{:.2f} %", value * 100); };
  std::vector<std::vector<std::string>> rows;
  if (options.linear)
    rows.push_back({"", "kNN", "linear"});
  auto add = [&](const std::string &name, double knn, std::optional<double> linear) {
    rows.push_back({name, percent(knn)});
    if (linear)
      rows.back().push_back(percent(*linear));
  };
  if (scores->raw)
    add("raw pixels", *scores->raw, scores->rawLinear);
  add(encoder, scores->encoder, scores->linear);
  printOut("{} on {} test images (bank {}, k {}, T {})\n{}",
           options.linear ? "accuracy" : "kNN accuracy", formatCount(scores->test),
           formatCount(scores->bank), options.neighbours, options.temperature,
           formatTable(rows, {false, true, true}));
  if (!scores->note.empty())
    printOut("note: {}\n", scores->note);
  return 0;
}

} // namespace doppel::cli
