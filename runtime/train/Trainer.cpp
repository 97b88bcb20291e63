// The training loop.
#include "runtime/train/Trainer.h"

#include "runtime/core/File.h"
#include "runtime/core/Text.h"
#include "runtime/data/Loader.h"
#include "runtime/train/Checkpoint.h"
#include "runtime/train/Schedules.h"

#include <chrono>
#include <cmath>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>

namespace doppel::runtime {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Images a second over the last few seconds, so that the figure follows the machine.
class Speedometer {
public:
  double add(int64_t images) {
    auto now = Clock::now();
    total += images;
    marks.push_back({now, total});
    while (marks.size() > 2 && now - marks.front().time > std::chrono::seconds(10))
      marks.pop_front();
    double seconds = std::chrono::duration<double>(now - marks.front().time).count();
    return seconds > 0 ? double(total - marks.front().images) / seconds : 0;
  }
  Speedometer() { marks.push_back({Clock::now(), 0}); }

private:
  struct Mark {
    Clock::time_point time;
    int64_t images;
  };
  std::deque<Mark> marks;
  int64_t total = 0;
};

class Run {
public:
  Run(const TrainOptions &options, TrainObserver &observer, const std::atomic<bool> &stop)
      : options(options), observer(observer), stop(stop) {}

  Result<TrainSummary> execute() {
    DOPPEL_TRY(Artifact loaded, Artifact::load(options.artifact));
    artifact.emplace(std::move(loaded));
    // The folder before the data: whether it may be used is known before minutes of reading.
    DOPPEL_TRY(RunFolder folder, RunFolder::open(options.out, options.mode));
    DOPPEL_CHECK(load(folder));
    DOPPEL_CHECK(options.mode == FolderMode::Resume ? restore(folder) : begin(folder));
    DOPPEL_CHECK(folder.openMetrics(step));
    observer.configured(configuration());
    return loop(folder);
  }

private:
  Result<void> load(const RunFolder &folder) {
    const schema::Program &program = artifact->program();
    device = makeCpuDevice(options.threads);
    DOPPEL_TRY(executable, Executable::create(*artifact, *device));
    DataOptions dataOptions;
    dataOptions.threads = options.threads;
    if (options.mode == FolderMode::Resume && !options.holdout) {
      DOPPEL_TRY(dataOptions.holdout, recordedHoldout(folder.path()));
    } else {
      dataOptions.holdout = options.holdout.value_or(0);
    }
    dataOptions.progress = [&](std::string_view activity, int64_t done, int64_t total) {
      observer.loading(activity, done, total);
    };
    DOPPEL_TRY(dataset, openDataset(options.data, Split::Train, dataOptions));
    for (const std::string &remark : dataset->remarks())
      observer.warned(remark);
    warnOfBroken();
    if (program.samples() != 0 && program.samples() != dataset->size())
      return fail(
          "{} is compiled for a data set of {} images (its param `samples`), but {} has {}; "
          "compile with --set samples={}",
          options.artifact.string(), program.samples(), options.data, dataset->size(),
          dataset->size());
    manifest.fingerprint = artifact->fingerprint();
    manifest.seed = options.seed.value_or(0);
    manifest.samples = dataset->size();
    manifest.epochs = options.epochs.value_or(program.epochs());
    manifest.data = escapedUtf8(options.data);
    manifest.holdout = dataOptions.holdout;
    manifest.pictures = dataset->fingerprint();
    return {};
  }

  /// Gives the states their initial values and lays the folder out. What can fail by the user's
  /// input comes before an old run goes.
  Result<void> begin(RunFolder &folder) {
    DOPPEL_CHECK(makeLoader());
    DOPPEL_CHECK(setRun(0));
    DOPPEL_TRY(auto failure, executable->run("init"));
    if (failure)
      return fail("an initial value is not finite: {}", failure->what);
    std::error_code ignored;
    std::string text = describe().dump(2) + "\n", names;
    for (const std::string &name : dataset->heldOut())
      names += escapedUtf8(name) + "\n";
    if (options.mode == FolderMode::Overwrite)
      DOPPEL_CHECK(folder.clear());
    // From memory: the file may be the old run's own, which is gone.
    DOPPEL_CHECK(writeFileAtomically(folder.artifact(), artifact->bytes()));
    if (names.empty()) {
      fs::remove(folder.heldOut(), ignored);
    } else {
      DOPPEL_CHECK(writeFileAtomically(folder.heldOut(), bytesOf(names)));
    }
    // Last, since it is what makes the folder a run.
    return writeFileAtomically(folder.description(),
                               std::as_bytes(std::span(text.data(), text.size())));
  }

  Result<void> restore(RunFolder &folder) {
    std::vector<fs::path> checkpoints = listCheckpoints(folder.checkpoints());
    if (checkpoints.empty()) {
      // Killed before the first checkpoint: the run begins again, by the same pure functions.
      observer.warned("the run had no checkpoint yet; it starts again");
      return begin(folder);
    }
    std::string firstError;
    for (const fs::path &checkpoint : checkpoints) {
      auto theirs = readManifest(checkpoint);
      if (theirs) {
        DOPPEL_CHECK(agree(*theirs, checkpoint));
        auto loaded = loadStates(checkpoint, *executable);
        if (loaded) {
          step = theirs->step;
          manifest.seed = theirs->seed;
          return makeLoader();
        }
        theirs = std::unexpected(std::move(loaded.error()));
      }
      observer.warned(theirs.error().message);
      if (firstError.empty())
        firstError = theirs.error().message;
    }
    return fail("no checkpoint in {} can be read: {}", folder.checkpoints().string(), firstError);
  }

  /// A resumed run must be the run that wrote the checkpoint.
  Result<void> agree(const CheckpointManifest &theirs, const fs::path &checkpoint) {
    if (theirs.fingerprint != manifest.fingerprint)
      return fail(
          "{} is of another artifact ({:016x}, this one is {:016x}); resume with the artifact "
          "in the run folder, or start a new run with --out",
          checkpoint.string(), theirs.fingerprint, manifest.fingerprint);
    if (options.seed && *options.seed != theirs.seed)
      return fail("the run in {} has seed {}, not {}", options.out.string(), theirs.seed,
                  *options.seed);
    if (theirs.holdout != manifest.holdout)
      return fail("the run in {} holds out {} of the images, not {}", options.out.string(),
                  theirs.holdout, manifest.holdout);
    if (theirs.samples != manifest.samples)
      return fail("the run in {} is on {} samples ({}); {} has {}", options.out.string(),
                  theirs.samples, theirs.data, options.data, manifest.samples);
    if (theirs.pictures != manifest.pictures)
      return fail("the run in {} is on other images ({}); {} has as many, but they differ",
                  options.out.string(), theirs.data, options.data);
    if (options.epochs && theirs.epochs != *options.epochs)
      return fail("the schedules of the run in {} are laid out for {} epochs, not {}",
                  options.out.string(), theirs.epochs, *options.epochs);
    manifest.epochs = theirs.epochs;
    return {};
  }

  Result<void> makeLoader() {
    LoaderOptions loaderOptions;
    loaderOptions.seed = manifest.seed;
    loaderOptions.batch = executable->batch();
    loaderOptions.threads = options.threads;
    DOPPEL_TRY(loader, Loader::create(*dataset, loaderOptions));
    if (__builtin_mul_overflow(manifest.epochs, loader->stepsPerEpoch(), &steps))
      return fail("{} epochs of {} steps are more steps than can be counted", manifest.epochs,
                  loader->stepsPerEpoch());
    if (options.steps)
      steps = std::min(steps, *options.steps);
    schedule::Run run{loader->stepsPerEpoch(), manifest.epochs, manifest.samples, steps};
    return checkSchedules(artifact->program(), run, options.compiledJustNow,
                          [&](const std::string &message) { observer.warned(message); });
  }

  /// Tells of broken files that were found since the last time, in one warning.
  void warnOfBroken() {
    std::vector<BrokenFile> broken = dataset->broken();
    std::span<const BrokenFile> fresh =
        std::span(broken).subspan(std::min(toldBroken, broken.size()));
    if (!fresh.empty())
      observer.warned(describeBroken(fresh));
    toldBroken = broken.size();
  }

  nlohmann::ordered_json describe() {
    nlohmann::ordered_json params;
    if (artifact->program().params())
      for (const schema::Param *param : *artifact->program().params())
        params[param->name()->str()] = param->value()->str();
    return {{"method", artifact->program().method()->str()},
            {"artifact", fmt::format("{:016x}", manifest.fingerprint)},
            {"data", manifest.data},
            {"samples", manifest.samples},
            {"holdout", manifest.holdout},
            {"held_out", dataset->heldOut().size()},
            {"batch", executable->batch()},
            {"epochs", manifest.epochs},
            {"seed", manifest.seed},
            {"params", params}};
  }

  std::vector<ConfigurationLine> configuration() {
    const schema::Program &program = artifact->program();
    std::vector<ConfigurationLine> lines{
        {"method", program.method()->str()},
        {"artifact", fmt::format("{} ({:016x})", options.artifact.string(), manifest.fingerprint)},
        {"data", fmt::format("{}: {}", options.data, dataset->summary())},
        {"batch",
         fmt::format("{} images, {} steps an epoch", executable->batch(), loader->stepsPerEpoch())},
        {"steps", fmt::format("{} .. {} ({} epochs)", step, steps, manifest.epochs)},
        {"seed", fmt::format("{}", manifest.seed)},
        {"device", device->description()},
        {"memory", fmt::format("{:.0f} MiB: states {:.1f}, a step {:.1f}, libraries {:.1f}",
                               mib(executable->stateBytes() + executable->transientBytes() +
                                   executable->workspaceBytes()),
                               mib(executable->stateBytes()), mib(executable->transientBytes()),
                               mib(executable->workspaceBytes()))},
        {"run folder", options.out.string()}};
    return lines;
  }

  static double mib(uint64_t bytes) { return double(bytes) / (1 << 20); }

  Result<void> setRun(int64_t atStep) {
    return executable->setRun({.seed = manifest.seed,
                               .step = atStep,
                               .stepsPerEpoch = loader->stepsPerEpoch(),
                               .epochs = manifest.epochs,
                               .samples = manifest.samples});
  }

  Result<TrainSummary> loop(RunFolder &folder) {
    TrainSummary summary;
    summary.steps = steps;
    auto start = Clock::now();
    Speedometer speedometer;
    std::vector<std::string> names = executable->outputNames("step");
    int64_t every = options.checkpointSteps > 0 ? options.checkpointSteps : loader->stepsPerEpoch();
    // A resumed run stands at a checkpoint.
    int64_t first = step, lastCheckpoint = -1;
    if (options.mode == FolderMode::Resume && step >= steps) {
      summary.step = step;
      std::vector<fs::path> kept = listCheckpoints(folder.checkpoints());
      summary.checkpoint = kept.empty() ? fs::path() : kept.front();
      return summary;
    }
    while (step < steps && !stop.load(std::memory_order_relaxed)) {
      DOPPEL_CHECK(takeStep());
      StepReport report{step, steps, loader->stepsPerEpoch(), {}, 0, 0};
      for (const std::string &name : names) {
        DOPPEL_TRY(std::vector<float> value, executable->output("step", name));
        report.outputs.emplace_back(name, value[0]);
      }
      summary.lastLoss = report.outputs.empty() ? 0 : report.outputs[0].second;
      report.imagesPerSecond = speedometer.add(executable->batch());
      if (report.imagesPerSecond > 0)
        report.secondsLeft =
            double((steps - step - 1) * executable->batch()) / report.imagesPerSecond;
      DOPPEL_CHECK(folder.appendMetrics(metricsLine(report)));
      ++step;
      observer.stepped(report);
      if (step % every == 0 || step == steps) {
        DOPPEL_TRY(summary.checkpoint, checkpoint(folder));
        lastCheckpoint = step;
      }
    }
    if (lastCheckpoint != step) {
      DOPPEL_TRY(summary.checkpoint, checkpoint(folder));
    }
    summary.step = step;
    summary.taken = step - first;
    summary.interrupted = step < steps;
    summary.seconds = secondsSince(start);
    summary.imagesPerSecond =
        summary.seconds > 0 ? double((step - first) * executable->batch()) / summary.seconds : 0;
    summary.peakMemoryBytes = peakMemoryBytes();
    return summary;
  }

  Result<void> takeStep() {
    DOPPEL_TRY(Batch batch, loader->batchAt(step));
    DOPPEL_CHECK(executable->setImages(batch.images()));
    DOPPEL_CHECK(setRun(step));
    DOPPEL_TRY(std::optional<NonFiniteReport> failure, executable->run("step"));
    if (!failure)
      return {};
    // Nothing was written but what comes before the check, so the same step again shows which value
    // was the first to go.
    DOPPEL_TRY(std::optional<NonFiniteReport> origin, executable->trace("step"));
    std::string where;
    if (origin && !origin->expression.empty())
      where = fmt::format("; the first such value is made by {}{}{}", origin->expression,
                          origin->place.empty() ? "" : " at ", origin->place);
    return fail(
        "the {} is not finite at step {} (epoch {}){}. Checkpoints up to here are kept in {}",
        failure->what, step, step / loader->stepsPerEpoch(), where,
        (options.out / "checkpoints").string());
  }

  Result<fs::path> checkpoint(RunFolder &folder) {
    warnOfBroken();
    manifest.step = step;
    auto written = writeCheckpoint(folder.checkpoints(), *executable, manifest);
    if (!written) {
      std::vector<fs::path> kept = listCheckpoints(folder.checkpoints());
      return std::unexpected(
          std::move(written.error())
              .within(fmt::format("the checkpoint of step {} failed, {}", step,
                                  kept.empty() ? std::string("there is none before it")
                                               : "the last good one is " + kept[0].string())));
    }
    observer.checkpointed(*written, step);
    return written;
  }

  std::string metricsLine(const StepReport &report) {
    nlohmann::ordered_json json{{"step", report.step},
                                {"epoch", double(report.step + 1) / report.stepsPerEpoch}};
    for (const auto &[name, value] : report.outputs)
      json[name] = value;
    json["images_per_second"] = std::round(report.imagesPerSecond * 10) / 10;
    return json.dump();
  }

  const TrainOptions &options;
  TrainObserver &observer;
  const std::atomic<bool> &stop;
  std::optional<Artifact> artifact;
  std::unique_ptr<Device> device;
  std::unique_ptr<Executable> executable;
  std::unique_ptr<Dataset> dataset;
  std::unique_ptr<Loader> loader;
  CheckpointManifest manifest;
  size_t toldBroken = 0;
  int64_t step = 0;
  int64_t steps = 0;
};

} // namespace

uint64_t peakMemoryBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:"))
      return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  return 0;
}

Result<TrainSummary> train(const TrainOptions &options, TrainObserver &observer,
                           const std::atomic<bool> &stop) {
  return Run(options, observer, stop).execute();
}

} // namespace doppel::runtime
