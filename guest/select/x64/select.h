// A region of operations as x86-64 code.
#pragma once

#include "guest/ir/passes/flow.h"
#include "guest/select/x64/environment.h"

namespace dd::select::x64 {

// Room that one translation at a time works in.
struct Workspace;
size_t WorkspaceBytes();

struct Generated {
  const uint8_t* code;
  size_t code_bytes;
  const FaultPoint* points;  // by offset
  size_t point_count;
  uint32_t reference_count;
  Homes homes;
  bool reads_status;  // FPSR
  bool floats;        // depends on what floating point is watched for
  bool needs_sha;     // instructions that not all hosts have
};

// Makes code that will run at `base`. False: the region does not fit.
bool Select(Workspace* workspace, const Environment& environment, const ir::Region& region,
            uint64_t base, Generated* generated);

// Executes an operation that has no selection; what Environment::call_kernel calls.
void ExecuteKernel(ir::State* state, const ir::Op* op);

// MXCSR of a guest's FPCR, and FPSR's exception bits of an MXCSR.
uint32_t MxcsrOf(uint32_t fpcr);
uint32_t FpsrOf(uint32_t mxcsr);

}  // namespace dd::select::x64
