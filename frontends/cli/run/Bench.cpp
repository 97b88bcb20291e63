// `doppel bench`: times a training step, or the views alone, on images of the built-in data set;
// `doppel preview` draws the views.
#include "frontends/cli/Inputs.h"
#include "frontends/cli/run/Commands.h"
#include "frontends/cli/run/Terminal.h"

#include "runtime/core/Text.h"
#include "runtime/data/Png.h"
#include "runtime/train/Session.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <numeric>

namespace doppel::cli {

using namespace runtime;

namespace {

using Clock = std::chrono::steady_clock;

/// A session with initialised states, and a batch of images.
struct Bench {
  Artifact artifact;
  std::unique_ptr<Session> session;
  Dataset *dataset; ///< the session's
  Batch batch;      ///< the program's; the first `images` of it differ
  int64_t images;
};

/// On the heap, since the session refers to the artifact.
Result<std::unique_ptr<Bench>> makeBench(Artifact artifact, const std::string &data, int64_t images,
                                         uint64_t seed, int threads) {
  std::unique_ptr<Bench> bench(new Bench{std::move(artifact), {}, nullptr, {}, 0});
  DOPPEL_TRY(bench->session, Session::open(bench->artifact, {threads}));
  DOPPEL_TRY(bench->dataset, bench->session->openData(data, Split::Train));
  const Executable &executable = bench->session->executable();
  bench->images = std::min({images, executable.localBatch(), bench->dataset->size()});
  DOPPEL_TRY(bench->batch, bench->dataset->range(0, bench->images));
  bench->batch.repeatTo(executable.localBatch());
  bench->session->setRun(
      {.seed = seed,
       .step = 0,
       .stepsPerEpoch = std::max<int64_t>(1, bench->dataset->size() / executable.batch()),
       .epochs = bench->artifact.program().epochs(),
       .samples = bench->dataset->size()});
  DOPPEL_CHECK(bench->session->initialise());
  return bench;
}

std::string shapesFor(const Artifact &artifact) {
  return fmt::format("shapes:{}", std::max<int64_t>(artifact.program().batch(), 64));
}

/// Seconds from one step's end to the next one's, as a run has them: a step is submitted while the
/// one before is computed.
Result<std::vector<double>> timeSteps(Session &session, const std::string &function,
                                      const Batch &batch, int64_t warmup, int64_t steps) {
  std::vector<double> seconds;
  int64_t done = 0;
  auto last = Clock::now();
  auto finish = [&]() -> Result<void> {
    DOPPEL_TRY(Session::Finished finished, session.next());
    if (finished.failure)
      return fail("the {} is not finite at step {}", finished.failure->what, done);
    auto now = Clock::now();
    if (done++ >= warmup)
      seconds.push_back(std::chrono::duration<double>(now - last).count());
    last = now;
    return {};
  };
  for (int64_t step = 0; step < warmup + steps; ++step) {
    DOPPEL_CHECK(session.submit(function, 0, batch, Executable::Outputs::Dropped));
    while (session.nextIsFinished() || !session.hasRoom())
      DOPPEL_CHECK(finish());
  }
  while (session.inFlight() > 0)
    DOPPEL_CHECK(finish());
  return seconds;
}

Result<void> bench(const BenchOptions &options) {
  DOPPEL_CHECK(expectArtifact("bench", options.artifact));
  DOPPEL_TRY(Artifact artifact, Artifact::load(options.artifact));
  if (options.data)
    DOPPEL_CHECK(expectData(*options.data));
  std::string data = options.data.value_or(shapesFor(artifact));
  int64_t batch = artifact.program().batch();
  DOPPEL_TRY(std::unique_ptr<Bench> bench,
             makeBench(std::move(artifact), data, batch, 0, options.threads));
  Session &session = *bench->session;
  Executable &executable = session.executable();
  std::string function = options.views ? "preview" : "step";
  int64_t viewCount = int64_t(executable.outputNames("preview").size());
  DOPPEL_TRY(std::vector<double> seconds,
             timeSteps(session, function, bench->batch, options.warmup, options.steps));
  std::sort(seconds.begin(), seconds.end());
  auto percentile = [&](double p) {
    return seconds[std::min(seconds.size() - 1, size_t(p * double(seconds.size())))];
  };
  double mean = std::accumulate(seconds.begin(), seconds.end(), 0.0) / double(seconds.size());
  double variance = 0;
  for (double value : seconds)
    variance += (value - mean) * (value - mean) / double(seconds.size());
  double spread = std::sqrt(variance) / mean;
  double median = percentile(0.5), images = double(executable.batch());
  if (options.json) {
    nlohmann::ordered_json json{{"function", function},
                                {"median_seconds", median},
                                {"p90_seconds", percentile(0.9)},
                                {"p99_seconds", percentile(0.99)},
                                {"images_per_second", images / median},
                                {"views_per_second", images * double(viewCount) / median},
                                {"peak_memory_bytes", peakMemoryBytes()}};
    printOut("{}\n", json.dump());
    return {};
  }
  printOut("{} of {} on {}; pictures of {}\n", function,
           printable(bench->artifact.program().method()->string_view()),
           session.device().description(), printable(data));
  std::vector<std::vector<std::string>> rows{
      {"median", "p90", "p99", "images/s", "views/s", "spread", "peak memory"},
      {fmt::format("{:.2f} ms", median * 1e3), fmt::format("{:.2f} ms", percentile(0.9) * 1e3),
       fmt::format("{:.2f} ms", percentile(0.99) * 1e3), formatRate(images / median),
       formatRate(images * double(viewCount) / median), fmt::format("{:.1f} %", spread * 100),
       fmt::format("{} MiB", peakMemoryBytes() >> 20)}};
  printOut("{}", formatTable(rows, std::vector<bool>(7, true)));
  if (spread > 0.1)
    printOut("note: the times spread by {:.0f} %; other work on this machine disturbs them\n",
             spread * 100);
  if (!options.profile)
    return {};
  DOPPEL_TRY(auto times, session.profile(function, bench->batch, int(options.steps)));
  std::stable_sort(times.begin(), times.end(),
                   [](const auto &a, const auto &b) { return a.seconds > b.seconds; });
  double total = 0;
  for (const auto &time : times)
    total += time.seconds;
  rows = {{"ms a step", "share", "operation", "computes"}};
  for (const auto &time : times)
    rows.push_back({fmt::format("{:.3f}", time.seconds * 1e3 / double(options.steps)),
                    fmt::format("{:.1f} %", time.seconds * 100 / total), printable(time.name),
                    printable(time.expression)});
  printOut("\n{}", formatTable(rows, {true, true}));
  return {};
}

Result<void> preview(const std::string &artifactPath, const std::string &data,
                     const std::string &out, int64_t images, uint64_t seed, int threads) {
  DOPPEL_CHECK(expectArtifact("preview", artifactPath));
  DOPPEL_CHECK(expectData(data));
  std::filesystem::path file = out;
  if (file.has_extension() && file.extension() != ".png" && file.extension() != ".PNG")
    return fail("a preview is a PNG, so {} cannot be its name; for instance {}", out,
                file.replace_extension(".png").string());
  DOPPEL_TRY(Artifact artifact, Artifact::load(artifactPath));
  DOPPEL_TRY(std::unique_ptr<Bench> bench,
             makeBench(std::move(artifact), data, images, seed, threads));
  for (const std::string &remark : bench->dataset->remarks())
    warn(remark);
  if (std::string broken = describeBroken(bench->dataset->broken()); !broken.empty())
    warn(broken);
  Session &session = *bench->session;
  Executable &executable = session.executable();
  if (!executable.has("preview"))
    return fail("the spec of {} has no views", artifactPath);
  DOPPEL_CHECK(session.submit("preview", 0, bench->batch));
  DOPPEL_TRY(Session::Finished finished, session.next());
  int64_t rows = bench->images;
  struct View {
    std::vector<float> values;
    int64_t size;
  };
  std::vector<View> views;
  for (const std::string &name : executable.outputNames("preview")) {
    std::vector<int64_t> shape;
    DOPPEL_TRY(std::vector<float> values, executable.output(finished.ticket, name, &shape));
    views.push_back({std::move(values), shape[1]});
  }
  // Small views are enlarged by a whole factor, so that each pixel is seen.
  constexpr int64_t kGap = 4, kLeast = 64;
  int64_t side = 0;
  for (const View &view : views)
    side = std::max(side, view.size);
  int64_t factor = std::max<int64_t>(1, kLeast / side), cell = side * factor;
  int64_t width = int64_t(views.size()) * (cell + kGap) - kGap;
  int64_t height = rows * (cell + kGap) - kGap;
  std::vector<uint8_t> pixels(size_t(width * height * 3), 255);
  for (size_t v = 0; v < views.size(); ++v) {
    const View &view = views[v];
    for (int64_t row = 0; row < rows; ++row) {
      const float *image = view.values.data() + row * view.size * view.size * 3;
      for (int64_t y = 0; y < view.size * factor; ++y)
        for (int64_t x = 0; x < view.size * factor; ++x)
          for (int64_t c = 0; c < 3; ++c) {
            float value = image[(y / factor * view.size + x / factor) * 3 + c];
            pixels[size_t(((row * (cell + kGap) + y) * width + int64_t(v) * (cell + kGap) + x) * 3 +
                          c)] = uint8_t(std::clamp(value, 0.0f, 1.0f) * 255 + 0.5f);
          }
    }
  }
  DOPPEL_CHECK(writePng(out, {.height = int32_t(height), .width = int32_t(width)}, pixels.data()));
  printOut("{}: {} images, {} views each\n", out, rows, views.size());
  return {};
}

} // namespace

int runBench(const BenchOptions &options) {
  auto done = bench(options);
  return done ? 0 : report(done.error());
}

int runPreview(const std::string &artifact, const std::string &data, const std::string &out,
               int64_t images, uint64_t seed, int threads) {
  auto done = preview(artifact, data, out, images, seed, threads);
  return done ? 0 : report(done.error());
}

} // namespace doppel::cli
