// A program bound to a device: arenas allocated, kernels loaded, every function recorded as a
// command list. Functions are submitted and told by tickets, of which two may be in flight; all
// that persists from one to the next is in the states.
#pragma once

#include "runtime/artifact/Artifact.h"
#include "runtime/device/Device.h"
#include "runtime/executor/ImageFeed.h"
#include "runtime/schema/Abi.h"

#include <array>
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

/// What a function reads.
struct Inputs {
  std::vector<ImageBatch> images; ///< by image input; empty for a function that reads none
  abi::RunScalars run = {};
};

/// Bytes that a program takes, by what they are for.
struct MemoryUse {
  uint64_t states = 0;
  uint64_t step = 0;                  ///< what a step reuses
  uint64_t libraries = 0;             ///< workspaces, and scratch memory of kernels
  uint64_t images = 0;                ///< of the device, beside the host's
  bool imagesStay = false;            ///< all of a data set; else two batches in turn
  std::optional<DeviceMemory> device; ///< absent where all of it is the host's
  uint64_t total() const { return states + step + libraries + images; }
};

/// A function that was submitted. Tickets are read in order.
using Ticket = uint64_t;

class Executable {
public:
  /// Tickets that may be unread at once.
  static constexpr size_t maxInFlight = 2;

  /// `artifact` and `device` must outlive the result.
  static Result<std::unique_ptr<Executable>> create(const Artifact &artifact, Device &device);
  /// Waits for what is in flight.
  ~Executable();

  /// Whether outputs are wanted; a function that is timed need not copy them.
  enum class Outputs { Kept, Dropped };

  /// Runs a function, "init", "step", "represent" or "preview", at some time before wait() returns
  /// for the ticket; slabs of `inputs` must stay until then, all else is copied. Fails if
  /// `maxInFlight` tickets are unread, or an image lies outside of its slab.
  Result<Ticket> submit(std::string_view function, const Inputs &inputs,
                        Outputs outputs = Outputs::Kept);
  /// Whether wait() would return at once.
  bool finished(Ticket ticket);
  /// Waits for the oldest ticket that is unread. An engaged result tells which finite check failed:
  /// no state has been written by this function, nor is it by those behind it, which tell the same,
  /// until clear().
  Result<std::optional<NonFiniteReport>> wait(Ticket ticket);
  /// An f32 output, row-major, of a ticket that was waited for, until `maxInFlight` more are
  /// submitted; its shape goes to `shape` unless null.
  Result<std::vector<float>> output(Ticket ticket, std::string_view name,
                                    std::vector<int64_t> *shape = nullptr);
  /// The same function with the same inputs again, of a ticket whose outputs could be read, with a
  /// look at every value: which instruction made the first that is not finite. Waits for all, and
  /// clears the failure. The slabs must still be there.
  Result<std::optional<NonFiniteReport>> trace(Ticket ticket);
  /// Waits for all, and lets functions write states again after one that failed.
  Result<void> clear();

  /// Submits and waits where nothing is in flight; a failure is told and cleared. Outputs are those
  /// of lastTicket().
  Result<std::optional<NonFiniteReport>> run(std::string_view function, const Inputs &inputs,
                                             Outputs outputs = Outputs::Kept);
  /// The last that was submitted.
  Ticket lastTicket() const { return submitted - 1; }

  /// Seconds of each instruction, summed over `repeats` runs, beside what it computes.
  struct InstructionTime {
    std::string name; ///< kernel symbol or library operation
    std::string expression;
    double seconds;
  };
  Result<std::vector<InstructionTime>> profile(std::string_view function, const Inputs &inputs,
                                               int repeats);

  bool has(std::string_view function) const { return functions.contains(std::string(function)); }
  /// Names of a function's outputs, in order.
  std::vector<std::string> outputNames(std::string_view function) const;

  /// States are read and written when all that is in flight is done.
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
  /// Takes the device's memory for the pictures of an input before the first step wants it: for all
  /// of `kept`, the slab that batches to come share, where it fits; else for two batches of at most
  /// `batchBytes`. Takes none where kernels read the host's.
  Result<void> reserveImages(size_t input, std::span<const uint8_t> kept, uint64_t batchBytes);
  Result<MemoryUse> memoryUse() const;

private:
  struct Output {
    std::string name;
    TensorRef value;
    size_t offset; ///< in a slot's outputs
  };
  struct RecordedFunction {
    const schema::Function *source;
    std::unique_ptr<CommandList> commands;
    std::vector<uint32_t> instructions; ///< of each command
    std::vector<Output> outputs;
    size_t outputBytes = 0;
    bool readsImages = false;
  };
  struct ImageInput {
    TensorRef refs;      ///< in the io arena
    size_t offset;       ///< of its refs in a slot's inputs
    uint64_t pixelBytes; ///< channels times the bytes of one
    std::unique_ptr<ImageFeed> feed;
  };
  /// What belongs to one ticket, in memory of the host that the device copies from and to.
  struct Slot {
    std::unique_ptr<Allocation> inputs;  ///< abi::ImageRefs of each image input, then RunScalars
    std::unique_ptr<Allocation> outputs; ///< of the greatest function so far
    std::vector<TensorRef> slabs;
    std::optional<NonFinite> flag;
    RecordedFunction *function = nullptr;
    Outputs kept = Outputs::Dropped;
    Mark end = 0;
  };

  Executable(const Artifact &artifact, Device &device) : artifact(artifact), device(device) {}
  Result<void> allocate();
  Result<void> allocateInputs();
  Result<void> record(const schema::Function &function);
  Result<RecordedFunction *> find(std::string_view function);
  TensorRef tensor(uint32_t buffer) const;
  bool isState(uint32_t buffer) const;
  NonFiniteReport report(const RecordedFunction &function, const NonFinite &failure) const;

  Slot &slotOf(Ticket ticket) { return slots[ticket % maxInFlight]; }
  Result<void> expectTicket(Ticket ticket) const;
  Result<void> setInputs(Slot &slot, const Inputs &inputs);
  Result<void> checkImages(size_t input, const ImageBatch &batch) const;
  Result<void> sendInputs(Slot &slot);
  Result<void> settle();

  const Artifact &artifact;
  Device &device;
  std::vector<std::unique_ptr<Allocation>> arenas;
  const schema::CodeSet *code = nullptr;
  std::vector<std::unique_ptr<KernelModule>> modules;
  std::unique_ptr<Stream> stream;
  std::map<std::string, RecordedFunction, std::less<>> functions;
  std::vector<ImageInput> imageInputs;
  size_t runOffset = 0; ///< of the RunScalars in a slot's inputs
  std::array<Slot, maxInFlight> slots;
  Ticket submitted = 1;                     ///< the next ticket's number
  Ticket unread = 1;                        ///< the oldest that was not waited for
  const RecordedFunction *failed = nullptr; ///< whose check set the flag
  std::vector<StateInfo> stateInfos;
};

} // namespace doppel::runtime
