// A program that runs: its step makes a loss of its images and the step's number (toy_step in
// kernels/Conformance.cpp), checks it, and then writes a state.
#pragma once

#include "test/unit/ArtifactFixture.h"

#include <fstream>
#include <iterator>

namespace doppel::runtime::test {

/// In the step of the number that is the run's seed the loss is not finite.
inline Artifact toyArtifact() {
  ProgramParts parts;
  parts.kernels = {{"toy_step", schema::KernelKind::Map, 4, 0}};
  parts.launch = {0, 1, 5, 7};
  parts.launchOutputs = 2;
  parts.collectiveInput = 5, parts.collectiveOutput = 4;
  parts.lastCopy = {5, 3};
  parts.commit = 8;
  std::ifstream file(DOPPEL_TEST_KERNELS, std::ios::binary);
  std::string code((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return Artifact::parse(artifactOf(parts.bytes(), {},
                                    {{format::SegmentKind::Elf, code},
                                     {format::SegmentKind::SpecSource, "method Toy {}\n"}}),
                         "toy.dpx")
      .value();
}

/// The state that its step writes.
inline constexpr size_t toyState = 1;

} // namespace doppel::runtime::test
