// The training loop.
#include "runtime/train/Trainer.h"

#include "runtime/core/Text.h"
#include "runtime/data/Loader.h"
#include "runtime/train/Checkpoint.h"
#include "runtime/train/Difference.h"
#include "runtime/train/Schedules.h"
#include "runtime/train/Session.h"

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
  Run(const TrainOptions &options, const Artifact &artifact, RunFolder &folder,
      TrainObserver &observer, const std::atomic<bool> &stop)
      : options(options), artifact(artifact), folder(folder), observer(observer), stop(stop) {}

  Result<TrainSummary> execute() {
    DOPPEL_CHECK(load());
    DOPPEL_CHECK(folder.mode() == FolderMode::Resume ? restore() : begin());
    DOPPEL_CHECK(folder.openMetrics(step));
    DOPPEL_TRY(MemoryUse memory, session->executable().memoryUse());
    observer.configured(configuration(memory));
    return loop();
  }

private:
  Result<void> load() {
    const schema::Program &program = artifact.program();
    DOPPEL_TRY(session, Session::open(artifact, {options.threads}));
    int threads = session->device().threads();
    if (options.threads > threads)
      observer.warned(fmt::format("the system gives {} of {} threads (OMP_THREAD_LIMIT)", threads,
                                  options.threads));
    DataOptions dataOptions;
    dataOptions.threads = options.threads;
    if (folder.mode() == FolderMode::Resume && !options.holdout) {
      DOPPEL_TRY(RunIdentity recorded, recordedRun(folder.path()));
      dataOptions.holdout = recorded.holdout;
    } else {
      dataOptions.holdout = options.holdout.value_or(0);
    }
    dataOptions.progress = [&](std::string_view activity, int64_t done, int64_t total) {
      observer.loading(activity, done, total);
    };
    DOPPEL_TRY(dataset, session->openData(options.data, Split::Train, dataOptions));
    for (const std::string &remark : dataset->remarks())
      observer.warned(remark);
    warnOfBroken();
    if (program.samples() != 0 && program.samples() != dataset->size())
      return fail(
          "{} is compiled for a data set of {} images (its param `samples`), but {} has {}; "
          "compile with --set samples={}",
          options.artifact.string(), program.samples(), options.data, dataset->size(),
          dataset->size());
    manifest.program = artifact.fingerprints().program;
    manifest.run = {.states = artifact.fingerprints().states,
                    .method = artifact.fingerprints().method,
                    .seed = options.seed.value_or(0),
                    .samples = dataset->size(),
                    .epochs = options.epochs.value_or(program.epochs()),
                    .holdout = dataOptions.holdout,
                    .pictures = dataset->fingerprint()};
    manifest.data = options.data;
    manifest.threads = threads;
    return {};
  }

  /// Gives the states their initial values and lays the folder out. What can fail by the user's
  /// input comes before an old run goes.
  Result<void> begin() {
    DOPPEL_CHECK(makeLoader());
    DOPPEL_CHECK(session->initialise());
    std::string heldOut;
    for (const std::string &name : dataset->heldOut())
      heldOut += escapedUtf8(name) + "\n";
    // From memory: the file may be the old run's own.
    return folder.begin(artifact.bytes(), describe(), heldOut);
  }

  Result<void> restore() {
    auto warn = [&](const std::string &message) { observer.warned(message); };
    Result<RunIdentity> said = readDescription(folder.description());
    std::optional<RunIdentity> run;
    if (said) {
      run = *said;
      DOPPEL_CHECK(checkMethod(*run, folder.description()));
    }
    DOPPEL_TRY(restored, restoreCheckpoint(folder.checkpoints(), run, std::nullopt,
                                           session->executable(), warn));
    if (!restored) {
      // Killed before the first checkpoint: the run begins again, by the same pure functions.
      if (!run)
        return fail("{}, and there is no checkpoint yet: start the run anew by --overwrite",
                    said.error().message);
      DOPPEL_CHECK(continueAs(*run, options.data, folder.description()));
      observer.warned("the run had no checkpoint yet; it starts again");
      return begin();
    }
    const CheckpointManifest &theirs = restored->manifest;
    DOPPEL_CHECK(continueAs(theirs.run, theirs.data, restored->folder));
    step = theirs.step;
    if (theirs.threads != manifest.threads)
      observer.warned(fmt::format(
          "the run was computed by {} threads so far, now by {}: it goes on as well, but not to "
          "the same bits; --threads {} would keep them",
          theirs.threads, manifest.threads, theirs.threads));
    if (theirs.program != manifest.program)
      observer.warned(fmt::format("the run was computed by another program so far{}: it goes on as "
                                  "well, but not to the same bits",
                                  recordedTarget()));
    if (!run)
      observer.warned(said.error().message + "; it is written anew from the checkpoint");
    auto recorded = readFile(folder.artifact());
    if (!recorded || !std::ranges::equal(bytesOf(*recorded), artifact.bytes())) {
      DOPPEL_CHECK(folder.takeArtifact(artifact.bytes(), describe()));
    } else if (!run) {
      DOPPEL_CHECK(folder.describe(describe()));
    }
    return makeLoader();
  }

  /// " (cpu znver5, doppel 0.1.0)": what the folder's artifact was compiled for, and by.
  std::string recordedTarget() const {
    auto recorded = Artifact::load(folder.artifact());
    if (!recorded)
      return "";
    const schema::Program &program = recorded->program();
    std::string name = program.target()->name()->str();
    return fmt::format(" ({}{}{}, {})", program.target()->kind()->string_view(),
                       name.empty() ? "" : " ", name, program.producer()->string_view());
  }

  /// A run goes on with what was compiled from the same method, for whatever machine.
  Result<void> checkMethod(const RunIdentity &theirs, const fs::path &where) const {
    const Fingerprints &ours = artifact.fingerprints();
    if (theirs.method == ours.method && theirs.states == ours.states)
      return {};
    std::string difference;
    if (auto recorded = Artifact::load(folder.artifact()))
      difference = ": " + describeDifference(*recorded, artifact);
    return fail("{} is of another method{}; go on with the artifact in the run folder, or start a "
                "new run with --out",
                where.string(), difference);
  }

  /// A resumed run must be the run that wrote `where`; it goes on with that run's seed and epochs.
  Result<void> continueAs(const RunIdentity &theirs, const std::string &theirData,
                          const fs::path &where) {
    RunIdentity &ours = manifest.run;
    DOPPEL_CHECK(checkMethod(theirs, where));
    if (options.seed && *options.seed != theirs.seed)
      return fail("the run in {} has seed {}, not {}", folder.path().string(), theirs.seed,
                  *options.seed);
    if (theirs.holdout != ours.holdout)
      return fail("the run in {} holds out {} of the images, not {}", folder.path().string(),
                  theirs.holdout, ours.holdout);
    if (theirs.samples != ours.samples)
      return fail("the run in {} is on {} samples ({}); {} has {}", folder.path().string(),
                  theirs.samples, theirData, options.data, ours.samples);
    if (theirs.pictures != ours.pictures)
      return fail("the run in {} is on other images ({}); {} has as many, but they differ",
                  folder.path().string(), theirData, options.data);
    if (options.epochs && theirs.epochs != *options.epochs)
      return fail("the schedules of the run in {} are laid out for {} epochs, not {}",
                  folder.path().string(), theirs.epochs, *options.epochs);
    ours = theirs;
    return {};
  }

  Result<void> makeLoader() {
    LoaderOptions loaderOptions;
    loaderOptions.seed = manifest.run.seed;
    loaderOptions.batch = session->executable().batch();
    loaderOptions.threads = options.threads;
    DOPPEL_TRY(loader, Loader::create(*dataset, loaderOptions));
    if (__builtin_mul_overflow(manifest.run.epochs, loader->stepsPerEpoch(), &steps))
      return fail("{} epochs of {} steps are more steps than can be counted", manifest.run.epochs,
                  loader->stepsPerEpoch());
    if (options.steps)
      steps = std::min(steps, *options.steps);
    if (!session->device().readsHostMemory())
      DOPPEL_CHECK(session->reserveImages(*dataset, loader->largestBatchBytes()));
    session->setRun({.seed = manifest.run.seed,
                     .step = 0,
                     .stepsPerEpoch = loader->stepsPerEpoch(),
                     .epochs = manifest.run.epochs,
                     .samples = manifest.run.samples});
    schedule::Run run{loader->stepsPerEpoch(), manifest.run.epochs, manifest.run.samples, steps};
    return checkSchedules(artifact.program(), run,
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

  RunDescription describe() {
    const schema::Program &program = artifact.program();
    RunDescription description{.run = manifest.run,
                               .program = manifest.program,
                               .method = program.method()->str(),
                               .data = manifest.data,
                               .heldOut = int64_t(dataset->heldOut().size()),
                               .batch = session->executable().batch(),
                               .params = {}};
    for (const schema::Param *param : *program.params())
      description.params.emplace_back(param->name()->str(), param->value()->str());
    return description;
  }

  /// "310 MiB: states 90.1, a step 200.0, libraries 20.0", and what a device of its own memory
  /// adds.
  static std::string describeMemory(const MemoryUse &use) {
    std::string text =
        fmt::format("{:.0f} MiB: states {:.1f}, a step {:.1f}, libraries {:.1f}", mib(use.total()),
                    mib(use.states), mib(use.step), mib(use.libraries));
    if (use.device)
      text += fmt::format(", pictures {:.1f} ({}); {} of {} MiB are free", mib(use.images),
                          use.imagesStay ? "all of them" : "two batches", use.device->free >> 20,
                          use.device->total >> 20);
    return text;
  }

  std::vector<ConfigurationLine> configuration(const MemoryUse &memory) {
    const schema::Program &program = artifact.program();
    const Executable &executable = session->executable();
    std::vector<ConfigurationLine> lines{
        {"method", program.method()->str()},
        {"artifact", fmt::format("{} ({:016x})", options.artifact.string(), manifest.program)},
        {"data", fmt::format("{}: {}", options.data, dataset->summary())},
        {"batch",
         fmt::format("{} images, {} steps an epoch", executable.batch(), loader->stepsPerEpoch())},
        {"steps", fmt::format("{} .. {} ({} epochs)", step, steps, manifest.run.epochs)},
        {"seed", fmt::format("{}", manifest.run.seed)},
        {"device", session->device().description()},
        {"memory", describeMemory(memory)},
        {"run folder", folder.path().string()}};
    return lines;
  }

  static double mib(uint64_t bytes) { return double(bytes) / (1 << 20); }

  Result<TrainSummary> loop() {
    summary.steps = steps;
    speedometer = Speedometer();
    auto start = Clock::now();
    int64_t every = options.checkpointSteps > 0 ? options.checkpointSteps : loader->stepsPerEpoch();
    int64_t first = step, lastCheckpoint = -1;
    if (restored) {
      lastCheckpoint = step;
      summary.checkpoint = restored->folder;
    }
    for (int64_t next = step; next < steps && !stop.load(std::memory_order_relaxed);) {
      DOPPEL_CHECK(submitStep(next++));
      // What is done is told at once; the host is at most one step ahead of the device, and not at
      // a checkpoint.
      bool isCheckpoint = next % every == 0 || next == steps;
      while (session->nextIsFinished() || !session->hasRoom() ||
             (isCheckpoint && session->inFlight() > 0))
        DOPPEL_CHECK(finishStep());
      if (isCheckpoint) {
        DOPPEL_TRY(summary.checkpoint, checkpoint());
        lastCheckpoint = step;
      }
    }
    while (session->inFlight() > 0)
      DOPPEL_CHECK(finishStep());
    if (lastCheckpoint != step) {
      DOPPEL_TRY(summary.checkpoint, checkpoint());
    }
    int64_t images = (step - first) * session->executable().batch();
    summary.step = step;
    summary.taken = step - first;
    summary.interrupted = step < steps;
    summary.seconds = secondsSince(start);
    summary.imagesPerSecond = summary.seconds > 0 ? double(images) / summary.seconds : 0;
    summary.peakMemoryBytes = peakMemoryBytes();
    return summary;
  }

  Result<void> submitStep(int64_t number) {
    // Where memory holds one batch alone, the step before lets go of its own first.
    while (!loader->twoFit() && session->inFlight() > 0)
      DOPPEL_CHECK(finishStep());
    DOPPEL_TRY(Batch batch, loader->batchAt(number));
    if (auto submitted = session->submit("step", number, std::move(batch)); !submitted)
      return stopped(std::move(submitted.error()));
    return {};
  }

  /// A device that fails in the middle of a run: where the run goes on.
  std::unexpected<Error> stopped(Error error) const {
    auto kept = listCheckpoints(folder.checkpoints());
    error = std::move(error).within(fmt::format("step {}", step));
    error.message += kept && !kept->empty()
                         ? fmt::format("; go on from {} with --resume", kept->front().string())
                         : "; the run has no checkpoint yet";
    return std::unexpected(std::move(error));
  }

  /// Reads the oldest step in flight and tells it.
  Result<void> finishStep() {
    auto next = session->next();
    if (!next)
      return stopped(std::move(next.error()));
    const Session::Finished &finished = *next;
    if (finished.failure)
      return explain(finished);
    Executable &executable = session->executable();
    StepReport report{step, steps, loader->stepsPerEpoch(), {}, 0, 0};
    for (const std::string &name : executable.outputNames("step")) {
      DOPPEL_TRY(std::vector<float> value, executable.output(finished.ticket, name));
      report.outputs.emplace_back(name, value[0]);
    }
    summary.lastLoss = report.outputs.empty() ? 0 : report.outputs[0].second;
    report.imagesPerSecond = speedometer.add(executable.batch());
    if (report.imagesPerSecond > 0)
      report.secondsLeft = double((steps - step - 1) * executable.batch()) / report.imagesPerSecond;
    logMetrics(report);
    ++step;
    observer.stepped(report);
    return {};
  }

  /// The error of a step whose finite check failed. Nothing was written but what comes before the
  /// check, so the same step again shows which value was the first to go.
  Result<void> explain(const Session::Finished &finished) {
    DOPPEL_TRY(std::optional<NonFiniteReport> origin, session->trace(finished));
    std::string where;
    if (origin && !origin->expression.empty())
      where = fmt::format("; the first such value is made by {}{}{}", origin->expression,
                          origin->place.empty() ? "" : " at ", origin->place);
    return fail(
        "the {} is not finite at step {} (epoch {}){}. Checkpoints up to here are kept in {}",
        finished.failure->what, finished.step, finished.step / loader->stepsPerEpoch(), where,
        folder.checkpoints().string());
  }

  Result<fs::path> checkpoint() {
    warnOfBroken();
    manifest.step = step;
    DOPPEL_CHECK(folder.check());
    auto written = writeCheckpoint(folder.checkpoints(), session->executable(), manifest);
    if (!written) {
      auto kept = listCheckpoints(folder.checkpoints());
      return std::unexpected(
          std::move(written.error())
              .within(fmt::format("the checkpoint of step {} failed, {}", step,
                                  !kept ? kept.error().message
                                  : kept->empty()
                                      ? "there is none before it"
                                      : "the last good one is " + kept->front().string())));
    }
    observer.checkpointed(*written, step);
    return written;
  }

  /// What cannot be logged is no reason to lose a run.
  void logMetrics(const StepReport &report) {
    auto written = folder.appendMetrics(metricsLine(report));
    if (!written && !missedMetrics)
      observer.warned(fmt::format("{}; the run goes on, its metrics from step {} on are missed "
                                  "while this lasts",
                                  written.error().message, report.step));
    missedMetrics = !written;
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
  const Artifact &artifact;
  RunFolder &folder;
  TrainObserver &observer;
  const std::atomic<bool> &stop;
  std::unique_ptr<Session> session;
  Dataset *dataset = nullptr; ///< the session's
  std::unique_ptr<Loader> loader;
  CheckpointManifest manifest;
  std::optional<RestoredCheckpoint> restored;
  TrainSummary summary;
  Speedometer speedometer;
  int64_t step = 0; ///< steps that are finished
  int64_t steps = 0;
  size_t toldBroken = 0;
  bool missedMetrics = false;
};

} // namespace

uint64_t peakMemoryBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:"))
      return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  return 0;
}

Result<TrainSummary> train(const TrainOptions &options, const Artifact &artifact, RunFolder &folder,
                           TrainObserver &observer, const std::atomic<bool> &stop) {
  return Run(options, artifact, folder, observer, stop).execute();
}

} // namespace doppel::runtime
