// Tables, durations and the progress bar.
#include "frontends/cli/run/Terminal.h"

#include "runtime/core/Text.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/ioctl.h>
#include <unistd.h>

namespace doppel::cli {

namespace {

constexpr int kBarWidth = 24;
constexpr auto kPlainInterval = std::chrono::seconds(5);
constexpr auto kRedrawInterval = std::chrono::milliseconds(100);

size_t terminalWidth() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
  return 100;
}

} // namespace

void write(std::FILE *stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

bool flushOutput() {
  errno = 0;
  bool failed = std::fflush(stdout) != 0;
  if (!failed && !std::ferror(stdout))
    return true;
  printError("doppel: error: cannot write to standard output{}{}\n", errno ? ": " : "",
             errno ? std::strerror(errno) : "");
  return false;
}

bool isTerminal() { return isatty(STDERR_FILENO); }

void warn(std::string_view text) { printError("doppel: warning: {}\n", runtime::printable(text)); }

std::string formatTable(const std::vector<std::vector<std::string>> &rows,
                        const std::vector<bool> &alignRight) {
  std::vector<size_t> widths;
  for (const auto &row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto &row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      bool right = i < alignRight.size() && alignRight[i];
      line += right ? fmt::format("{:>{}}", row[i], widths[i])
                    : fmt::format("{:<{}}", row[i], widths[i]);
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string formatDuration(double seconds) {
  auto whole = int64_t(std::max(0.0, seconds) + 0.5);
  if (whole >= 3600)
    return fmt::format("{}h {:02}m", whole / 3600, whole / 60 % 60);
  if (whole >= 60)
    return fmt::format("{}m {:02}s", whole / 60, whole % 60);
  return fmt::format("{}s", whole);
}

std::string formatCount(int64_t number) {
  std::string digits = std::to_string(number < 0 ? -number : number);
  std::string text = number < 0 ? "-" : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0)
      text += ',';
    text += digits[i];
  }
  return text;
}

std::string formatRate(double perSecond) {
  return perSecond < 10 ? fmt::format("{:.2g}", perSecond) : formatCount(int64_t(perSecond));
}

void Progress::update(std::string_view before, int64_t done, int64_t total,
                      std::string_view after) {
  auto now = Clock::now();
  bool terminal = isTerminal(), end = done >= total;
  if (now - last < (terminal ? Clock::duration(kRedrawInterval) : kPlainInterval) && !end)
    return;
  last = now;
  double part = total > 0 ? std::clamp(double(done) / double(total), 0.0, 1.0) : 0;
  if (!terminal) {
    printError("{} {}/{} {}\n", before, done, total, after);
    return;
  }
  // Where the line is too long, the bar gives way before the numbers.
  std::string counts = fmt::format("{}/{} {}", done, total, after);
  auto room = int64_t(terminalWidth()) - int64_t(before.size() + counts.size()) - 5;
  int64_t bar = std::min<int64_t>(kBarWidth, room);
  std::string line = std::string(before) + ' ';
  if (bar >= 4) {
    auto filled = size_t(part * double(bar));
    line += '[' + std::string(filled, '=') + std::string(size_t(bar) - filled, ' ') + "] ";
  }
  line += counts;
  line.resize(std::min(line.size(), terminalWidth() - 1));
  printError("\r\x1b[K{}", line);
  std::fflush(stderr);
  open = true;
}

void Progress::finish() {
  if (open)
    printError("\n");
  open = false;
  last = {};
}

void Progress::message(std::string_view line) {
  if (open)
    printError("\r\x1b[K");
  open = false;
  printError("{}\n", line);
}

} // namespace doppel::cli
