// `doppel run`: trains with a table first, a progress bar meanwhile and a summary last.
#include "frontends/cli/run/Commands.h"
#include "frontends/cli/run/Terminal.h"

#include "runtime/core/Text.h"

#include <csignal>

namespace doppel::cli {

namespace {

std::atomic<bool> stopRequested{false};
std::atomic<int> stoppedBy{0};

void requestStop(int signal) {
  stoppedBy.store(signal, std::memory_order_relaxed);
  stopRequested.store(true, std::memory_order_relaxed);
}

/// Signals that would end a run because of its surroundings. What they tell comes back from the
/// call that could not write, and is no reason to lose a run.
void ignoreBrokenOutputs() {
  std::signal(SIGPIPE, SIG_IGN); // `doppel run ... | head`
  std::signal(SIGXFSZ, SIG_IGN); // ulimit -f
}

/// From now on these end the run after the step, with a checkpoint.
void stopBySignals() {
  std::signal(SIGTERM, requestStop);
  std::signal(SIGINT, requestStop);
  // The terminal was closed; nohup has it ignored.
  if (std::signal(SIGHUP, requestStop) == SIG_IGN)
    std::signal(SIGHUP, SIG_IGN);
}

class Observer : public runtime::TrainObserver {
public:
  void loading(std::string_view activity, int64_t done, int64_t total) override {
    progress.update(activity, done, total, "images");
    if (done >= total)
      progress.finish();
  }

  void configured(const std::vector<runtime::ConfigurationLine> &lines) override {
    // Until now there was nothing to save, and a signal ended the process at once.
    stopBySignals();
    progress.finish();
    std::vector<std::vector<std::string>> rows;
    for (const auto &line : lines)
      rows.push_back({line.name, runtime::printable(line.value)});
    printError("{}", formatTable(rows));
  }

  void stepped(const runtime::StepReport &report) override {
    std::string text;
    for (const auto &[name, value] : report.outputs)
      text += fmt::format("{} {:.4g}  ", name == "learning_rate" ? "lr" : name, value);
    text += fmt::format("{} images/s  ETA {}", formatRate(report.imagesPerSecond),
                        formatDuration(report.secondsLeft));
    progress.update(fmt::format("epoch {}/{}", report.step / report.stepsPerEpoch + 1,
                                (report.steps + report.stepsPerEpoch - 1) / report.stepsPerEpoch),
                    report.step + 1, report.steps, text);
  }

  void checkpointed(const std::filesystem::path &, int64_t) override {}

  void warned(const std::string &message) override {
    progress.message("warning: " + runtime::printable(message));
  }

  Progress progress;
};

} // namespace

int report(const runtime::Error &error) {
  if (error.kind == runtime::ErrorKind::Internal) {
    printError("doppel: internal error: {}\nThis is a bug in Doppel; please report it.\n",
               runtime::printable(error.message));
    return 70;
  }
  printError("doppel: error: {}\n", runtime::printable(error.message));
  return 1;
}

int runTrain(const runtime::TrainOptions &options, const runtime::Artifact &artifact,
             runtime::RunFolder &folder) {
  ignoreBrokenOutputs();
  Observer observer;
  auto summary = runtime::train(options, artifact, folder, observer, stopRequested);
  observer.progress.finish();
  if (!summary)
    return report(summary.error());
  if (summary->taken == 0 && !summary->interrupted) {
    printOut("nothing to do: the run has taken {} steps of {} already\ncheckpoint {}\n",
             summary->step, summary->steps, summary->checkpoint.string());
    return 0;
  }
  if (summary->interrupted && stopRequested)
    printError("stopped after step {} of {}; go on with --resume\n", summary->step, summary->steps);
  printOut("trained {} step{} in {} ({} images/s), loss {:.4f}, peak memory {} MiB\n",
           summary->step, summary->step == 1 ? "" : "s", formatDuration(summary->seconds),
           formatRate(summary->imagesPerSecond), summary->lastLoss, summary->peakMemoryBytes >> 20);
  printOut("checkpoint {}\n", summary->checkpoint.string());
  return stoppedBy ? 128 + stoppedBy : 0;
}

} // namespace doppel::cli
