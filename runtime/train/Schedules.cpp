#include "runtime/train/Schedules.h"

#include <set>

namespace doppel::runtime {

namespace {

schedule::Nodes nodesOf(const schema::Schedule &entry) {
  return {reinterpret_cast<const schema::ScheduleNode *>(entry.nodes()->Data()),
          entry.nodes()->size()};
}

/// "spec.dpl:12:3: ", empty for what has no place.
std::string placeOf(const schema::Program &program, uint32_t index) {
  const schema::Location &location = *program.locations()->Get(index);
  if (location.file()->size() == 0)
    return "";
  return fmt::format("{}:{}:{}: ", location.file()->string_view(), location.line(),
                     location.column());
}

} // namespace

Result<void> checkSchedules(const schema::Program &program, const schedule::Run &run,
                            const std::function<void(const std::string &)> &warn) {
  if (!program.schedules())
    return {};
  std::set<std::string> told; // several optimizers may have one rate, and a rate several turns
  for (const schema::Schedule *entry : *program.schedules()) {
    schedule::Nodes nodes = nodesOf(*entry);
    std::string_view what = entry->what()->string_view();
    if (auto excess = schedule::firstExcess(nodes, entry->role(), run))
      return fail("{}{}", placeOf(program, entry->location()),
                  schedule::describe(what, *excess, entry->role(), run, true));
    std::set<uint32_t> known;
    for (const schedule::Turn &turn : schedule::turnsBeyond(
             nodes, entry->role(), schedule::Run::beforeTheData(program.epochs())))
      known.insert(turn.node);
    for (const schedule::Turn &turn : schedule::turnsBeyond(nodes, entry->role(), run)) {
      std::string place = placeOf(program, nodes[turn.node].location());
      if (!known.contains(turn.node) && told.insert(place).second)
        warn(place + schedule::describe(what, turn, run, true));
    }
  }
  return {};
}

} // namespace doppel::runtime
