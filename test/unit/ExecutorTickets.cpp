// Two functions in flight: each has its own inputs and outputs, a failure leaves the states as they
// were, and is traced with what the function had, wherever the device keeps its pictures.
#include "runtime/executor/Executable.h"
#include "test/unit/LateDevice.h"
#include "test/unit/ToyProgram.h"

#include <gtest/gtest.h>

namespace doppel::runtime::test {

namespace {

/// Where pictures are when kernels read them.
enum class Place { Host, Resident, Packed, Sent };

class ExecutorTickets : public testing::TestWithParam<Place> {
protected:
  static constexpr uint64_t never = 1 << 20; ///< a seed that no step has the number of
  static constexpr size_t slabBytes = 8000;

  ExecutorTickets() : artifact(toyArtifact()) {
    if (GetParam() == Place::Host) {
      device = cpu::makeCpuDevice(1);
    } else {
      auto made = std::make_unique<LateDevice>(1, GetParam() == Place::Packed ? 4000 : SIZE_MAX);
      late = made.get();
      device = std::move(made);
    }
    executable = Executable::create(artifact, *device).value();
  }

  /// Four images of 2 x 3 pixels somewhere in a slab, of levels first, first + 1, ...
  struct Pictures {
    std::vector<uint8_t> slab;
    std::vector<abi::ImageRef> refs;
  };
  static Pictures pictures(uint8_t first) {
    Pictures made{std::vector<uint8_t>(slabBytes), {}};
    for (uint8_t i = 0; i < 4; ++i) {
      uint64_t offset = uint64_t(5000 - 700 * i + first);
      made.refs.push_back({offset, 2, 3, i});
      std::fill_n(made.slab.begin() + int64_t(offset), 18, uint8_t(first + i));
    }
    return made;
  }
  Inputs inputs(const Pictures &pictures, int64_t step, uint64_t seed = never) const {
    return {{{pictures.refs, pictures.slab, GetParam() != Place::Sent}},
            {.seed = seed, .step = step, .stepsPerEpoch = 1, .epochs = 1, .samples = 4}};
  }
  float loss(Ticket ticket) {
    auto values = executable->output(ticket, "loss");
    EXPECT_TRUE(values) << values.error().message;
    return values ? values->at(0) : -1;
  }
  std::vector<float> state() {
    std::vector<std::byte> bytes = executable->readState(toyState).value();
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    values.resize(4);
    return values;
  }
  Ticket submit(const Inputs &inputs) {
    auto ticket = executable->submit("step", inputs);
    EXPECT_TRUE(ticket) << ticket.error().message;
    return ticket.value_or(0);
  }
  void expectFine(Ticket ticket) {
    auto failure = executable->wait(ticket);
    ASSERT_TRUE(failure) << failure.error().message;
    EXPECT_FALSE(*failure);
  }

  Artifact artifact;
  std::unique_ptr<Device> device;
  LateDevice *late = nullptr;
  std::unique_ptr<Executable> executable;
};

INSTANTIATE_TEST_SUITE_P(Pictures, ExecutorTickets,
                         testing::Values(Place::Host, Place::Resident, Place::Packed, Place::Sent));

TEST_P(ExecutorTickets, EachHasItsOwnInputsAndOutputs) {
  Pictures one = pictures(10), other = pictures(30);
  if (GetParam() == Place::Resident || GetParam() == Place::Packed)
    other.slab = one.slab; // one data set; its own images elsewhere in it
  for (uint8_t i = 0; i < 4; ++i)
    std::fill_n(one.slab.begin() + int64_t(other.refs[i].offset), 18, uint8_t(30 + i));
  if (GetParam() != Place::Sent)
    other.slab = {};
  auto inputsOf = [&](bool second, int64_t step) {
    Inputs made = inputs(second && !other.slab.empty() ? other : one, step);
    made.images[0].images = second ? other.refs : one.refs;
    return made;
  };
  Ticket first = submit(inputsOf(false, 0)), second = submit(inputsOf(true, 1));
  EXPECT_EQ(executable->finished(second), GetParam() == Place::Host);
  EXPECT_FALSE(executable->output(first, "loss")) << "read before it was waited for";
  expectFine(first);
  EXPECT_EQ(loss(first), 11);
  // Two may be in flight again, while the outputs of the first are read.
  EXPECT_FALSE(executable->output(second, "loss"));
  expectFine(second);
  EXPECT_EQ(loss(first), 11) << "not that of the second";
  EXPECT_EQ(loss(second), 31 + 256);
  EXPECT_EQ(state(), (std::vector<float>{286, 287, 288, 289}));
  for (int64_t step = 2; step < 9; ++step) {
    Ticket ticket = submit(inputsOf(step % 3 == 0, step));
    expectFine(ticket);
    EXPECT_EQ(loss(ticket), float((step % 3 == 0 ? 31 : 11) + 256 * step));
  }
  if (late) {
    size_t once = GetParam() == Place::Resident ? slabBytes : 0;
    EXPECT_EQ(late->uploadedBytes, once) << "a data set that fits goes to the device, once";
  }
}

TEST_P(ExecutorTickets, AFailureLeavesTheStatesAndIsTracedWithWhatItHad) {
  Pictures good = pictures(10), bad = pictures(50);
  Pictures &failing = GetParam() == Place::Resident || GetParam() == Place::Packed ? good : bad;
  // Some float of the state tells who wrote it last.
  expectFine(submit(inputs(good, 3)));
  Ticket first = submit(inputs(failing, 4, 4)), second = submit(inputs(good, 5));
  auto failure = executable->wait(first);
  ASSERT_TRUE(failure && *failure);
  EXPECT_EQ((**failure).what, "loss");
  EXPECT_EQ(state(), (std::vector<float>{778, 779, 780, 781})) << "of the step before";
  auto origin = executable->trace(first);
  ASSERT_TRUE(origin) << origin.error().message;
  ASSERT_TRUE(*origin);
  EXPECT_EQ((**origin).what, "") << "found by the trace, not by the check";
  EXPECT_EQ((**origin).place, "toy.dpl:5:9");
  // What was queued behind it tells the same, and has written nothing.
  failure = executable->wait(second);
  ASSERT_TRUE(failure && *failure);
  EXPECT_EQ((**failure).what, "loss");
  EXPECT_EQ(state(), (std::vector<float>{778, 779, 780, 781}));
  // The trace has cleared the flag.
  expectFine(submit(inputs(good, 6)));
  EXPECT_EQ(state()[0], 10 + 256 * 6);
}

/// As good as new after a failure that run() told.
TEST_P(ExecutorTickets, RunClearsItsFailure) {
  Pictures good = pictures(10);
  auto failure = executable->run("step", inputs(good, 4, 4));
  ASSERT_TRUE(failure && *failure);
  EXPECT_EQ(state()[0], 0);
  failure = executable->run("step", inputs(good, 5));
  ASSERT_TRUE(failure);
  EXPECT_FALSE(*failure);
  EXPECT_EQ(loss(executable->lastTicket()), 11 + 256 * 5);
}

TEST_P(ExecutorTickets, StatesAreReadAndWrittenBehindWhatIsInFlight) {
  Pictures good = pictures(10);
  Ticket first = submit(inputs(good, 1)), second = submit(inputs(good, 2));
  EXPECT_EQ(state()[0], 10 + 512) << "before the tickets were read";
  expectFine(first);
  expectFine(second);
  Ticket third = submit(inputs(good, 3));
  std::vector<float> given(64, 5);
  ASSERT_TRUE(executable->writeState(toyState, std::as_bytes(std::span(given))));
  expectFine(third);
  EXPECT_EQ(state()[0], 5) << "not what the step wrote before";
}

TEST_P(ExecutorTickets, ATraceOfAFiniteFunctionFindsNothing) {
  Pictures good = pictures(10);
  Ticket ticket = submit(inputs(good, 1));
  expectFine(ticket);
  auto origin = executable->trace(ticket);
  ASSERT_TRUE(origin);
  EXPECT_FALSE(*origin);
}

TEST_P(ExecutorTickets, AreReadInOrderAndNoMoreThanTwo) {
  Pictures good = pictures(10);
  Ticket first = submit(inputs(good, 0)), second = submit(inputs(good, 1));
  EXPECT_FALSE(executable->submit("step", inputs(good, 2)));
  EXPECT_FALSE(executable->run("step", inputs(good, 2)));
  EXPECT_FALSE(executable->profile("step", inputs(good, 2), 1));
  EXPECT_FALSE(executable->wait(second)) << "before the first";
  EXPECT_FALSE(executable->wait(second + 1)) << "never submitted";
  expectFine(first);
  expectFine(second);
  EXPECT_FALSE(executable->wait(first)) << "twice";
  Ticket third = submit(inputs(good, 3)), fourth = submit(inputs(good, 4));
  EXPECT_FALSE(executable->output(first, "loss")) << "its slot is another's";
  expectFine(third);
  expectFine(fourth);
  auto dropped = executable->submit("step", inputs(good, 5), Executable::Outputs::Dropped);
  ASSERT_TRUE(dropped);
  expectFine(*dropped);
  EXPECT_FALSE(executable->output(*dropped, "loss")) << "outputs that were not kept";
  EXPECT_FALSE(executable->output(fourth, "accuracy"));
  EXPECT_EQ(loss(fourth), 11 + 256 * 4);
}

TEST_P(ExecutorTickets, AnImageOutsideOfItsSlabIsRefused) {
  Pictures good = pictures(10);
  auto refuses = [&](const abi::ImageRef &image) {
    Pictures wrong = good;
    wrong.refs[2] = image;
    auto ticket = executable->submit("step", inputs(wrong, 0));
    EXPECT_TRUE(ticket || ticket.error().message.starts_with("image 2 of "))
        << ticket.error().message;
    if (ticket)
      expectFine(*ticket);
    return !ticket;
  };
  constexpr uint64_t end = slabBytes - abi::imagePadding;
  EXPECT_TRUE(refuses({end - 17, 2, 3, 0})) << "its last byte is the padding";
  EXPECT_TRUE(refuses({slabBytes, 1, 1, 0}));
  EXPECT_TRUE(refuses({UINT64_MAX, 1, 1, 0}));
  EXPECT_TRUE(refuses({UINT64_MAX - 2, 1, 1, 0}));
  EXPECT_TRUE(refuses({0, 0, 3, 0}));
  EXPECT_TRUE(refuses({0, 3, -1, 0}));
  EXPECT_TRUE(refuses({0, INT32_MAX, INT32_MAX, 0}));
  EXPECT_FALSE(refuses({end - 18, 2, 3, 0}));
  Pictures few = good;
  few.refs.pop_back();
  EXPECT_FALSE(executable->submit("step", inputs(few, 0))) << "three images for a batch of four";
  EXPECT_FALSE(executable->submit("step", {{}, {}})) << "a step without images";
  EXPECT_TRUE(executable->run("init", {{}, {}}));
}

TEST_P(ExecutorTickets, ProfilesEachInstruction) {
  Pictures good = pictures(10);
  auto times = executable->profile("step", inputs(good, 2), 3);
  ASSERT_TRUE(times) << times.error().message;
  ASSERT_EQ(times->size(), 7u);
  EXPECT_EQ(times->at(2).name, "toy_step");
  EXPECT_EQ(state()[0], 10 + 512) << "timed, but not executed";
}

/// Another data set, larger pictures: what is kept for the one before is let go.
TEST_P(ExecutorTickets, PicturesMayComeFromAnotherSlab) {
  Pictures one = pictures(10), other = pictures(90);
  other.slab.resize(3 * slabBytes);
  Ticket first = submit(inputs(one, 0)), second = submit(inputs(other, 1));
  expectFine(first);
  expectFine(second);
  EXPECT_EQ(loss(first), 11);
  EXPECT_EQ(loss(second), 91 + 256);
  Ticket third = submit(inputs(one, 2));
  expectFine(third);
  EXPECT_EQ(loss(third), 11 + 512);
}

} // namespace
} // namespace doppel::runtime::test
