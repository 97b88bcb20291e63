// A program bound to a device: arenas allocated, kernels loaded, every function recorded as a
// command list. Between two calls of `run` all that persists is in the states.
#pragma once

#include "runtime/artifact/Artifact.h"
#include "runtime/device/Device.h"
#include "runtime/schema/Abi.h"

#include <map>

namespace doppel::runtime {

/// A state as checkpoints see it.
struct StateInfo {
  std::string name;
  schema::StateKind kind;
  schema::DType dtype;
  std::vector<int64_t> shape;
  uint64_t bytes;
};

/// A value that is not finite, told in the spec's terms.
struct NonFiniteReport {
  std::string what;       ///< the check's name ("loss"), or empty where a trace found it
  std::string expression; ///< what the instruction computes
  std::string place;      ///< "file:line:column" in the spec; empty where unknown
};

class Executable {
public:
  /// `artifact` and `device` must outlive the result.
  static Result<std::unique_ptr<Executable>> create(const Artifact &artifact, Device &device);

  /// What the next run reads. `images` are localBatch() many; pixels must stay until the run is
  /// over.
  Result<void> setImages(std::span<const abi::ImageRef> images);
  Result<void> setRun(const abi::RunScalars &scalars);

  /// Runs a function: "init", "step", "represent" or "preview". An engaged result tells which
  /// finite check stopped it; parameters have then not been written.
  Result<std::optional<NonFiniteReport>> run(std::string_view function);
  /// Runs with a look at every output: which instruction made the first value that is not finite.
  Result<std::optional<NonFiniteReport>> trace(std::string_view function);
  /// Seconds of each instruction, summed over `repeats` runs, beside what it computes.
  struct InstructionTime {
    std::string name; ///< kernel symbol or library operation
    std::string expression;
    double seconds;
  };
  Result<std::vector<InstructionTime>> profile(std::string_view function, int repeats);

  bool has(std::string_view function) const { return functions.contains(std::string(function)); }
  /// Names of a function's outputs, in order.
  std::vector<std::string> outputNames(std::string_view function) const;
  /// An f32 output of the last run of `function`, row-major; its shape goes to `shape` unless null.
  Result<std::vector<float>> output(std::string_view function, std::string_view name,
                                    std::vector<int64_t> *shape = nullptr);

  const std::vector<StateInfo> &states() const { return stateInfos; }
  Result<std::vector<std::byte>> readState(size_t index);
  Result<void> writeState(size_t index, std::span<const std::byte> bytes);
  /// What "step" writes a state by, for a message: "sgd(...) at a.dpl:3:5"; empty where it does
  /// not.
  std::string writerOf(size_t state) const;
  /// Of the artifact.
  const Fingerprints &fingerprints() const { return artifact.fingerprints(); }

  /// Samples of a step over all ranks, and those of them that one rank takes.
  int64_t batch() const;
  int64_t localBatch() const;
  /// Bytes of the states, of what a step reuses, and of the device's own workspace.
  uint64_t stateBytes() const;
  uint64_t transientBytes() const;
  uint64_t workspaceBytes() const { return device.workspaceBytes(); }

private:
  struct RecordedFunction {
    const schema::Function *source;
    std::unique_ptr<CommandList> commands;
    std::vector<uint32_t> instructions; ///< of each command
  };

  Executable(const Artifact &artifact, Device &device) : artifact(artifact), device(device) {}
  Result<void> checkImages() const;
  Result<void> allocate();
  Result<void> record(const schema::Function &function);
  Result<RecordedFunction *> find(std::string_view function);
  TensorRef tensor(uint32_t buffer) const;
  uint64_t arenaBytes(schema::ArenaKind kind) const;
  NonFiniteReport report(const RecordedFunction &function, const NonFinite &failure) const;

  const Artifact &artifact;
  Device &device;
  std::vector<std::unique_ptr<Allocation>> arenas;
  std::vector<std::unique_ptr<KernelModule>> modules;
  std::map<std::string, RecordedFunction, std::less<>> functions;
  std::vector<StateInfo> stateInfos;
};

} // namespace doppel::runtime
