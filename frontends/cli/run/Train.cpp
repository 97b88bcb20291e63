// `doppel run`: trains with a table first, a progress bar meanwhile and a summary last.
#include "frontends/cli/run/Commands.h"
#include "frontends/cli/run/Terminal.h"

#include <csignal>
#include <fmt/format.h>

namespace doppel::cli {

namespace {

std::atomic<bool> stopRequested{false};

void requestStop(int) { stopRequested.store(true, std::memory_order_relaxed); }

class Observer : public runtime::TrainObserver {
public:
  void loading(std::string_view activity, int64_t done, int64_t total) override {
    progress.update(activity, done, total, "images");
    if (done >= total)
      progress.finish();
  }

  void configured(const std::vector<runtime::ConfigurationLine> &lines) override {
    progress.finish();
    std::vector<std::vector<std::string>> rows;
    for (const auto &line : lines)
      rows.push_back({line.name, line.value});
    fmt::print(stderr, "{}", formatTable(rows));
  }

  void stepped(const runtime::StepReport &report) override {
    std::string text;
    for (const auto &[name, value] : report.outputs)
      text += fmt::format("{} {:.4g}  ", name == "learning_rate" ? "lr" : name, value);
    text += fmt::format("{} images/s  ETA {}", formatCount(int64_t(report.imagesPerSecond)),
                        formatDuration(report.secondsLeft));
    progress.update(fmt::format("epoch {}/{}", report.step / report.stepsPerEpoch + 1,
                                (report.steps + report.stepsPerEpoch - 1) / report.stepsPerEpoch),
                    report.step + 1, report.steps, text);
  }

  void checkpointed(const std::filesystem::path &, int64_t) override {}

  void warned(const std::string &message) override { progress.message("warning: " + message); }

  Progress progress;
};

} // namespace

int report(const runtime::Error &error) {
  if (error.kind == runtime::ErrorKind::Internal) {
    fmt::print(stderr, "doppel: internal error: {}\nThis is a bug in Doppel; please report it.\n",
               error.message);
    return 70;
  }
  fmt::print(stderr, "doppel: error: {}\n", error.message);
  return 1;
}

int runTrain(const runtime::TrainOptions &options) {
  std::signal(SIGTERM, requestStop);
  std::signal(SIGINT, requestStop);
  Observer observer;
  auto summary = runtime::train(options, observer, stopRequested);
  observer.progress.finish();
  if (!summary)
    return report(summary.error());
  if (summary->interrupted && stopRequested)
    fmt::print(stderr, "stopped after step {} of {}; go on with --resume\n", summary->step,
               summary->steps);
  fmt::print("trained {} steps in {} ({} images/s), loss {:.4f}, peak memory {} MiB\n",
             summary->step, formatDuration(summary->seconds),
             formatCount(int64_t(summary->imagesPerSecond)), summary->lastLoss,
             summary->peakMemoryBytes >> 20);
  fmt::print("checkpoint {}\n", summary->checkpoint.string());
  return 0;
}

} // namespace doppel::cli
