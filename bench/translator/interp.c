// An interpreter's inner loop: a jump through a table for each instruction of a small machine.
#include "workload.h"

enum { kPush, kAdd, kSub, kDup, kSwap, kOver, kJumpUnless, kJump, kDrop, kXor, kHalt };

int main(int argc, char** argv) {
  // Counts down from the top of the stack, mixing a sum on the way.
  static const int program[] = {
      kPush, 1,      // sum counter 1
      kSub,          // sum counter'
      kSwap, kOver,  // counter' sum counter'
      kXor,  kPush,       12345, kAdd,
      kSwap,  // sum' counter'
      kDup,  kJumpUnless, 14,    kJump, 0, kHalt,
  };
  static const void* const kLabels[] = {&&push,   &&add,  &&sub,  &&dup,  &&swap, &&over,
                                        &&unless, &&jump, &&drop, &&xor_, &&halt};
  int64_t stack[64] = {17, size_of_run(argc, argv, 20000000)};
  int64_t* top = stack + 1;
  const int* pc = program;
#define NEXT goto* kLabels[*pc++]
  NEXT;
push:
  *++top = *pc++;
  NEXT;
add:
  top--, *top += top[1];
  NEXT;
sub:
  top--, *top -= top[1];
  NEXT;
dup:
  top++, *top = top[-1];
  NEXT;
swap : {
  int64_t value = *top;
  *top = top[-1], top[-1] = value;
  NEXT;
}
over:
  top++, *top = top[-2];
  NEXT;
unless:
  pc = *top-- == 0 ? program + *pc + 1 : pc + 1;
  NEXT;
jump:
  pc = program + *pc;
  NEXT;
drop:
  top--;
  NEXT;
xor_:
  top--, *top ^= top[1];
  NEXT;
halt:
  return report(mix(1, (uint64_t)stack[0]));
}
