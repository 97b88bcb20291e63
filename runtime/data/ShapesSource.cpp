// `shapes`: a procedural data set. A sample's class is the shape of which it shows a few copies;
// everything else (how many, where, how large, how turned, which colours, texture, light, noise) is
// drawn for each sample from Philox and says nothing of the class.
//
// Several copies in one picture, each with its own colour, size and turn, are the point of the
// design: two crops of one picture often show different copies, and all that those share is the
// shape. For the same reason the background changes across the picture and is muted: a colour of
// its own would tell pictures apart before any shape is learned. Pixels alone say little, since
// copies move, turn, and are darker or lighter than their ground.

#include "runtime/data/Source.h"
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>

#include <xxhash.h>

namespace doppel::runtime {
namespace {

struct Point {
  float x, y;
};
using Color = std::array<float, 3>; // 0 .. 1

Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
float dot(Point a, Point b) { return a.x * b.x + a.y * b.y; }
float length(Point a) { return std::sqrt(dot(a, a)); }
Point rotated(Point a, float cosine, float sine) {
  return {cosine * a.x - sine * a.y, sine * a.x + cosine * a.y};
}

// Shapes are signed distances, negative inside, in units of the shape's radius.

float disc(Point point, Point centre, float radius) { return length(point - centre) - radius; }

/// Signed distance to a closed polygon; inside by the even-odd rule.
template <size_t count> float polygon(Point point, const std::array<Point, count> &corners) {
  float squared = 1e9f;
  bool inside = false;
  for (size_t at = 0, before = count - 1; at < count; before = at++) {
    Point edge = corners[before] - corners[at], toPoint = point - corners[at];
    float along = std::clamp(dot(toPoint, edge) / dot(edge, edge), 0.f, 1.f);
    Point off = {toPoint.x - along * edge.x, toPoint.y - along * edge.y};
    squared = std::min(squared, dot(off, off));
    if ((corners[at].y > point.y) != (corners[before].y > point.y) &&
        toPoint.x < toPoint.y * edge.x / edge.y)
      inside = !inside;
  }
  return inside ? -std::sqrt(squared) : std::sqrt(squared);
}

/// `tips` corners on circles of radius 1 and, between them, of radius `inner`.
template <size_t tips> std::array<Point, 2 * tips> starCorners(float inner) {
  std::array<Point, 2 * tips> corners;
  for (size_t corner = 0; corner < corners.size(); ++corner) {
    float angle = float(corner) * std::numbers::pi_v<float> / tips;
    float radius = corner % 2 ? inner : 1.f;
    corners[corner] = {radius * std::sin(angle), -radius * std::cos(angle)};
  }
  return corners;
}

float circle(Point p) { return disc(p, {0, 0}, 0.85f); }

float square(Point p) {
  static const auto corners =
      std::to_array<Point>({{-.8f, -.8f}, {.8f, -.8f}, {.8f, .8f}, {-.8f, .8f}});
  return polygon(p, corners);
}

float triangle(Point p) {
  static const auto corners = std::to_array<Point>({{0, -1.05f}, {.95f, .65f}, {-.95f, .65f}});
  return polygon(p, corners);
}

float star(Point p) {
  static const auto corners = starCorners<5>(0.42f);
  return polygon(p, corners) / 1.1f;
}

float cross(Point p) {
  constexpr float a = 0.32f, b = 0.98f;
  static const auto corners = std::to_array<Point>({{-a, -b},
                                                    {a, -b},
                                                    {a, -a},
                                                    {b, -a},
                                                    {b, a},
                                                    {a, a},
                                                    {a, b},
                                                    {-a, b},
                                                    {-a, a},
                                                    {-b, a},
                                                    {-b, -a},
                                                    {-a, -a}});
  return polygon(p, corners);
}

float ring(Point p) { return std::fabs(length(p) - 0.7f) - 0.24f; }

float crescent(Point p) { return std::max(disc(p, {-.1f, 0}, 0.98f), -disc(p, {.36f, 0}, 0.78f)); }

float heart(Point p) {
  static const auto corners =
      std::to_array<Point>({{0, -.42f}, {.82f, .06f}, {0, 1.f}, {-.82f, .06f}});
  return std::min(
      {polygon(p, corners), disc(p, {-.45f, -.35f}, .53f), disc(p, {.45f, -.35f}, .53f)});
}

float hourglass(Point p) {
  static const auto corners = std::to_array<Point>(
      {{-.85f, -.9f}, {.85f, -.9f}, {.14f, 0}, {.85f, .9f}, {-.85f, .9f}, {-.14f, 0}});
  return polygon(p, corners);
}

float bar(Point p) {
  static const auto corners =
      std::to_array<Point>({{-1.1f, -.3f}, {1.1f, -.3f}, {1.1f, .3f}, {-1.1f, .3f}});
  return polygon(p, corners);
}

struct Shape {
  const char *name;
  float (*distance)(Point);
};

constexpr std::array kShapes = {Shape{"bar", bar},           Shape{"circle", circle},
                                Shape{"crescent", crescent}, Shape{"cross", cross},
                                Shape{"heart", heart},       Shape{"hourglass", hourglass},
                                Shape{"ring", ring},         Shape{"square", square},
                                Shape{"star", star},         Shape{"triangle", triangle}};

/// The random numbers of one sample, in order.
class Draws {
public:
  Draws(uint64_t seed, uint64_t sample) : seed(seed), sample(sample) {}

  float uniform(float low, float high) { return low + (high - low) * abi::uniform(next()); }
  /// 0 .. count-1.
  int below(int count) { return int(uint64_t(next()) * uint64_t(count) >> 32); }
  float angle() { return uniform(0, 2 * std::numbers::pi_v<float>); }
  /// Mean 0, deviation 1, by the sum of four uniforms; bounded by 3.5.
  float bell() {
    float sum = 0;
    for (int term = 0; term < 4; ++term)
      sum += uniform(0, 1);
    return (sum - 2) * std::numbers::sqrt3_v<float>;
  }
  Color color() { return {uniform(0, 1), uniform(0, 1), uniform(0, 1)}; }

private:
  uint32_t next() {
    if (used == 4) {
      words = abi::philox(seed, sample, block >> 8, block & 0xFF, 0);
      ++block, used = 0;
    }
    return words[used++];
  }

  uint64_t seed, sample;
  uint32_t block = 0;
  std::array<uint32_t, 4> words{};
  int used = 4;
};

float luma(const Color &color) { return .299f * color[0] + .587f * color[1] + .114f * color[2]; }

/// A plane wave of light and dark.
struct Stripes {
  float amplitude, fx, fy, phase;

  Stripes(Draws &draws, float most) {
    float angle = draws.angle(), frequency = draws.uniform(2, 9);
    amplitude = draws.uniform(0, most);
    fx = frequency * std::cos(angle), fy = frequency * std::sin(angle);
    phase = draws.angle();
  }
  float at(Point point) const {
    return amplitude > 0 ? amplitude * std::sin(fx * point.x + fy * point.y + phase) : 0;
  }
};

/// The background: muted colours at the four corners and a blend between, so that two crops of it
/// have little in common.
struct Ground {
  std::array<Color, 4> corners;

  explicit Ground(Draws &draws) {
    for (Color &corner : corners)
      corner = muted(draws);
  }
  Color at(Point point) const {
    float x = 0.5f + 0.5f * point.x, y = 0.5f + 0.5f * point.y;
    Color color;
    for (int channel = 0; channel < 3; ++channel)
      color[channel] = (1 - y) * ((1 - x) * corners[0][channel] + x * corners[1][channel]) +
                       y * ((1 - x) * corners[2][channel] + x * corners[3][channel]);
    return color;
  }

private:
  static Color muted(Draws &draws) {
    float level = draws.uniform(0.15f, 0.85f);
    Color color = draws.color();
    for (float &channel : color)
      channel = level + 0.2f * (channel - 0.5f);
    return color;
  }
};

struct Copy {
  Point centre;
  float radius, cosine, sine;
  Color color;
  Stripes stripes;
};

constexpr float kLeastContrast = 0.35f; ///< of luma, between a copy and the background
constexpr int kLeastCopies = 2, kMostCopies = 4;
constexpr float kMostTurn = std::numbers::pi_v<float> / 4;
constexpr float kGrain = 0.02f; ///< deviation of the noise of a pixel

/// A colour of any lightness, half as strong as it could be.
Color tint(Draws &draws) {
  Color color = draws.color();
  float level = draws.uniform(0, 1);
  for (float &channel : color)
    channel = std::clamp(level + 0.5f * (channel - 0.5f), 0.f, 1.f);
  return color;
}

/// Colours as far from the background as kLeastContrast asks, darker or lighter.
Color contrasting(Draws &draws, float background) {
  Color color = tint(draws);
  for (int tries = 0; tries < 8 && std::fabs(luma(color) - background) < kLeastContrast; ++tries)
    color = tint(draws);
  if (std::fabs(luma(color) - background) < kLeastContrast)
    for (float &channel : color)
      channel = background > 0.5f ? channel * (background - kLeastContrast)
                                  : 1 - (1 - channel) * (1 - background - kLeastContrast);
  return color;
}

/// Copies of one shape that overlap little: each new one takes the best of a few places.
std::vector<Copy> placeCopies(Draws &draws, const Ground &ground) {
  int count = kLeastCopies + draws.below(kMostCopies - kLeastCopies + 1);
  float largest = std::array{0.6f, 0.54f, 0.48f}[count - kLeastCopies];
  std::vector<Copy> copies;
  for (int number = 0; number < count; ++number) {
    float radius = largest * draws.uniform(0.75f, 1);
    float reach = std::max(0.f, 1.04f - radius);
    Point best{};
    float bestGap = -1e9f;
    for (int tries = 0; tries < 12; ++tries) {
      Point centre = {draws.uniform(-reach, reach), draws.uniform(-reach, reach)};
      float gap = 0;
      for (const Copy &other : copies)
        gap = std::min(gap, length(centre - other.centre) - radius - other.radius);
      if (gap > bestGap)
        best = centre, bestGap = gap;
    }
    float angle = draws.uniform(-kMostTurn, kMostTurn);
    copies.push_back({best, radius, std::cos(angle), std::sin(angle),
                      contrasting(draws, luma(ground.at(best))), Stripes(draws, 0.1f)});
  }
  return copies;
}

/// Draws into [side, side, 3]. Edges are soft over a pixel, by the distance to them.
void drawSample(Draws draws, float (*distance)(Point), int32_t side, uint8_t *pixels) {
  Ground ground(draws);
  std::vector<Copy> copies = placeCopies(draws, ground);
  float lightAngle = draws.angle(), shade = draws.uniform(0, 0.3f);
  Point lightAxis = {std::cos(lightAngle), std::sin(lightAngle)};

  float pixel = 2.f / float(side);
  for (int32_t row = 0; row < side; ++row)
    for (int32_t column = 0; column < side; ++column) {
      Point point = {(float(column) + 0.5f) * pixel - 1, (float(row) + 0.5f) * pixel - 1};
      Color color = ground.at(point);
      for (const Copy &copy : copies) {
        Point local = rotated(point - copy.centre, copy.cosine, copy.sine);
        local = {local.x / copy.radius, local.y / copy.radius};
        if (dot(local, local) > 2)
          continue;
        float cover = std::clamp(0.5f - distance(local) * copy.radius / pixel, 0.f, 1.f);
        float texture = copy.stripes.at(point);
        for (int channel = 0; channel < 3; ++channel)
          color[channel] += cover * (copy.color[channel] + texture - color[channel]);
      }
      float light = 1 - shade * (0.5f + 0.5f * dot(point, lightAxis));
      float grain = kGrain * draws.bell();
      for (int channel = 0; channel < 3; ++channel)
        *pixels++ = uint8_t(std::clamp(color[channel] * light + grain, 0.f, 1.f) * 255 + 0.5f);
    }
}

/// Test samples are numbered from here, so that no training set, however large, holds one of them.
constexpr uint64_t kFirstTestSample = uint64_t(1) << 40;

class ShapesSource final : public Source {
public:
  ShapesSource(int64_t count, int32_t side, uint64_t seed, uint64_t first)
      : count(count), side(side), seed(seed), first(first) {
    for (const Shape &shape : kShapes)
      classes.push_back(shape.name);
  }

  int64_t size() const override { return count; }
  const std::vector<std::string> &classNames() const override { return classes; }
  int32_t label(int64_t sample) const override { return int32_t(sample % int64_t(kShapes.size())); }
  std::string describe(int64_t sample) const override { return fmt::format("shapes {}", sample); }
  uint64_t identity(int64_t sample) const override {
    std::array<uint64_t, 3> drawn{seed, first + uint64_t(sample), uint64_t(side)};
    return XXH3_64bits(drawn.data(), sizeof(drawn));
  }
  Result<Extent> probe(int64_t) const override { return Extent{side, side}; }

  Result<void> decode(int64_t sample, Extent, uint8_t *pixels) const override {
    drawSample(Draws(seed, first + uint64_t(sample)), kShapes[label(sample)].distance, side,
               pixels);
    return {};
  }

private:
  int64_t count;
  int32_t side;
  uint64_t seed, first;
  std::vector<std::string> classes;
};

Result<int64_t> parseNumber(std::string_view text, std::string_view what, int64_t least,
                            int64_t most) {
  int64_t number = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size() || number < least || number > most)
    return fail("shapes: {} is \"{}\", but must be a number from {} to {}", what, text, least,
                most);
  return number;
}

} // namespace

Result<std::unique_ptr<Source>> openShapes(const std::string &text, Split split) {
  int64_t train = 10'000, test = 2'000, side = 32, seed = 0;
  std::string_view rest = text;
  for (bool isFirst = true; !rest.empty(); isFirst = false) {
    rest.remove_prefix(1); // ':' or ','
    std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(item.size());
    size_t equals = item.find('=');
    std::string_view name = equals == item.npos ? "" : item.substr(0, equals);
    std::string_view value = equals == item.npos ? item : item.substr(equals + 1);
    if (name == "test") {
      DOPPEL_TRY(test, parseNumber(value, "test", 1, 100'000'000));
    } else if (name == "size") {
      DOPPEL_TRY(side, parseNumber(value, "size", 8, 1024));
    } else if (name == "seed") {
      DOPPEL_TRY(seed, parseNumber(value, "seed", 0, INT64_MAX));
    } else if (name.empty() && isFirst) {
      DOPPEL_TRY(train, parseNumber(value, "the number of samples", 1, 100'000'000));
    } else {
      return fail("shapes: \"{}\" is not an option; the form is shapes:N,size=S,test=M,seed=K, and "
                  "each part may be left out",
                  item);
    }
  }
  return std::make_unique<ShapesSource>(split == Split::Train ? train : test, int32_t(side),
                                        uint64_t(seed),
                                        split == Split::Train ? 0 : kFirstTestSample);
}

} // namespace doppel::runtime
