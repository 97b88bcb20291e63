// The part of DeviceConformance.h about streams: order, the flag behind a check, and errors in
// place of crashes where memory is not the device's.
#pragma once

#include "test/unit/DeviceConformance.h"

namespace doppel::runtime::test {

/// A vector as a tensor of the process.
inline TensorRef hostTensor(std::vector<float> &values) {
  return {values.data(), schema::DType::F32, {int64_t(values.size())}, {}};
}

TEST_P(DeviceConformance, StreamsCopyWhatIsThereWhenTheirTurnComes) {
  TensorRef x = empty({3}), doubled = empty({3}), inverse = empty({3});
  auto pinned = device->allocateHost(3 * sizeof(float));
  ASSERT_TRUE(pinned);
  EXPECT_EQ((*pinned)->memory().place, Memory::Place::Host);
  EXPECT_EQ(reinterpret_cast<uintptr_t>((*pinned)->data()) % 64, 0u);
  auto *host = static_cast<float *>((*pinned)->data());
  TensorRef source{host, schema::DType::F32, {3}, (*pinned)->memory()};
  auto list = makeList();
  launch(*list, {"double_and_invert", 3, 0, {x}, {doubled, inverse}});
  // Upload, compute and read, twice without a wait between.
  std::vector<float> other = {10, 20, 30}, first(3), second(3);
  std::copy_n(std::vector<float>{1, 2, 3}.data(), 3, host);
  ASSERT_TRUE(stream->copy(source, x));
  ASSERT_TRUE(stream->run(*list, {}));
  ASSERT_TRUE(stream->copy(doubled, hostTensor(first)));
  ASSERT_TRUE(stream->copy(hostTensor(other), x));
  ASSERT_TRUE(stream->run(*list, {}));
  ASSERT_TRUE(stream->copy(doubled, hostTensor(second)));
  wait();
  EXPECT_EQ(first, (std::vector<float>{2, 4, 6}));
  EXPECT_EQ(second, (std::vector<float>{20, 40, 60}));
}

TEST_P(DeviceConformance, AStreamWaitsForAMarkOfAnother) {
  auto made = device->makeStream();
  ASSERT_TRUE(made);
  Stream &copies = **made;
  TensorRef x = empty({3}), sum = empty({3});
  std::vector<float> values = {1, 2, 3}, found(3);
  auto list = makeList();
  launch(*list, {"count_groups", 3, 0, {x}, {sum}});
  ASSERT_TRUE(copies.copy(hostTensor(values), x));
  auto sent = copies.mark();
  ASSERT_TRUE(sent);
  ASSERT_TRUE(stream->waitFor(copies, *sent));
  ASSERT_TRUE(stream->run(*list, {}));
  ASSERT_TRUE(stream->copy(sum, hostTensor(found)));
  wait();
  EXPECT_EQ(found, (std::vector<float>{2, 3, 4}));
  EXPECT_TRUE(copies.wait(*sent));
}

TEST_P(DeviceConformance, RunsBehindACheckThatFailedWriteNothing) {
  TensorRef x = tensor({3}, {1, 0, 2}), doubled = empty({3}), inverse = empty({3});
  TensorRef state = empty({3}), copy = empty({3});
  auto step = makeList(), other = makeList();
  launch(*step, {"double_and_invert", 3, 0, {x}, {doubled, inverse}});
  ASSERT_TRUE(step->check(inverse));
  launch(*step, {"count_groups", 3, 0, {x}, {state}, {}, /*guarded=*/true});
  ASSERT_TRUE(other->copy(doubled, copy, /*guarded=*/true));
  launch(*other, {"count_groups", 3, 0, {x}, {state}, {}, /*guarded=*/true});
  std::vector<float> fine = {1, 2, 4};
  std::optional<NonFinite> first, second, third, last = NonFinite{};
  ASSERT_TRUE(stream->run(*step, {}));
  ASSERT_TRUE(stream->readFlag(first));
  // The next runs were put in before the host knew; their own values are finite.
  ASSERT_TRUE(stream->copy(hostTensor(fine), x));
  ASSERT_TRUE(stream->run(*step, {}));
  ASSERT_TRUE(stream->readFlag(second));
  ASSERT_TRUE(stream->run(*other, {}));
  ASSERT_TRUE(stream->readFlag(third));
  wait();
  EXPECT_EQ(values(state), std::vector<float>(3, 0.0f));
  EXPECT_EQ(values(copy), std::vector<float>(3, 0.0f));
  for (const auto &flag : {first, second, third}) {
    ASSERT_TRUE(flag);
    EXPECT_EQ(flag->command, 1u);
    EXPECT_EQ(flag->element, 1);
  }
  ASSERT_TRUE(stream->clearFlag());
  ASSERT_TRUE(stream->run(*step, {}));
  ASSERT_TRUE(stream->run(*other, {}));
  ASSERT_TRUE(stream->readFlag(last));
  wait();
  EXPECT_FALSE(last);
  EXPECT_EQ(values(state), (std::vector<float>{4, 6, 10}));
  EXPECT_EQ(values(copy), (std::vector<float>{2, 4, 8}));
}

TEST_P(DeviceConformance, ATraceHeedsNoFlagAndSetsNone) {
  TensorRef x = tensor({1}, {0}), doubled = empty({1}), inverse = empty({1}), copy = empty({1});
  auto bad = makeList(), good = makeList();
  launch(*bad, {"double_and_invert", 1, 0, {x}, {doubled, inverse}});
  ASSERT_TRUE(bad->check(inverse));
  ASSERT_TRUE(good->copy(doubled, copy, /*guarded=*/true));
  ASSERT_TRUE(traceOf(*bad));
  run(*good);
  std::optional<NonFinite> flag;
  ASSERT_TRUE(stream->run(*bad, {}));
  ASSERT_TRUE(traceOf(*bad));
  ASSERT_TRUE(stream->readFlag(flag));
  wait();
  ASSERT_TRUE(flag);
  EXPECT_EQ(flag->command, 1u) << "of the run, not of the trace";
}

// Memory that a kernel would crash on.

TEST_P(DeviceConformance, MemoryOfTheHostIsNoOperand) {
  std::vector<float> values = {1, 2, 3};
  TensorRef x = tensor({3}, values), sum = empty({3}), host = hostTensor(values);
  auto list = makeList();
  auto errorOf = [](const Result<void> &done) {
    EXPECT_FALSE(done);
    EXPECT_TRUE(done || done.error().kind == ErrorKind::Internal);
    return done ? "" : done.error().message;
  };
  EXPECT_EQ(errorOf(list->launch(*kernels, {"count_groups", 3, 0, {host}, {sum}})),
            "count_groups: input 0 lies in memory of the host, not of this device");
  EXPECT_EQ(errorOf(list->launch(*kernels, {"count_groups", 3, 0, {x}, {host}})),
            "count_groups: output 0 lies in memory of the host, not of this device");
  errorOf(list->copy(host, sum, false));
  errorOf(list->copy(x, host, false));
  errorOf(list->check(host));
  errorOf(list->call({schema::LibraryOp::Matmul,
                      {host.reshaped({1, 3}), x.reshaped({3, 1})},
                      {part(sum, 0, 1).reshaped({1, 1})},
                      {0, 0}}));
  errorOf(device->upload(host, values.data()));
  errorOf(device->download(values.data(), host));
  run(*list); // and the list is still good, and empty
  EXPECT_EQ(this->values(sum), std::vector<float>(3, 0.0f));
}

TEST_P(DeviceConformance, MemoryOfAnotherDeviceIsNoOperand) {
  auto other = GetParam().make();
  auto memory = other->allocate(12);
  ASSERT_TRUE(memory);
  TensorRef foreign{(*memory)->data(), schema::DType::F32, {3}, (*memory)->memory()};
  TensorRef sum = empty({3});
  auto list = makeList();
  auto launched = list->launch(*kernels, {"count_groups", 3, 0, {foreign}, {sum}});
  ASSERT_FALSE(launched);
  EXPECT_NE(launched.error().message.find("memory of another device"), std::string::npos);
  EXPECT_FALSE(list->copy(foreign, sum, false));
  EXPECT_FALSE(stream->copy(foreign, sum));
  EXPECT_FALSE(stream->copy(sum, foreign));
  std::vector<float> few(2);
  EXPECT_FALSE(stream->copy(sum, hostTensor(few))) << "of another size";
}

TEST_P(DeviceConformance, SlabsLieWhereKernelsReadThem) {
  using schema::DType;
  std::vector<uint8_t> pixels(4, 9);
  TensorRef sum = empty({1}, DType::F64);
  auto list = makeList();
  launch(*list, {"read_every_kind",
                 1,
                 0,
                 {empty({1}), empty({1}, DType::F64), empty({1}, DType::I64),
                  empty({1}, DType::I32), empty({1}, DType::U8), empty({1}, DType::Bool),
                  tensor({1}, std::vector<abi::ImageRef>{{0, 1, 1, 0}}, DType::ImageRef),
                  empty({}, DType::RunScalars)},
                 {sum},
                 {0}});
  auto fails = [&](std::span<const TensorRef> slabs) {
    auto ran = stream->run(*list, slabs);
    return !ran || !stream->wait(stream->mark().value());
  };
  EXPECT_TRUE(fails({})) << "without a slab";
  std::vector<TensorRef> host = {hostBytes(pixels.data(), pixels.size())};
  EXPECT_EQ(fails(host), !device->readsHostMemory());
  auto other = GetParam().make();
  auto memory = other->allocate(4);
  ASSERT_TRUE(memory);
  std::vector<TensorRef> foreign = {{(*memory)->data(), DType::U8, {4}, (*memory)->memory()}};
  EXPECT_TRUE(fails(foreign));
  std::vector<TensorRef> own = {tensor({4}, pixels, DType::U8)};
  run(*list, own);
  EXPECT_EQ(values<double>(sum), std::vector<double>{9 * (13 + 17)});
}

} // namespace doppel::runtime::test
