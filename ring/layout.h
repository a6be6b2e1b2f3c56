// Generated from ring/ring.fbs by `npm run gen`. Do not edit.
// clang-format off
#pragma once

#include <cstddef>
#include <cstdint>

namespace dd::ring {

// First page of a ring mapping, written by the sentry (S) before anyone maps it and never read back.
struct RingHeader {
  uint32_t magic;
  uint32_t version;
  uint32_t slot_count;
  uint32_t queue_capacity;
  uint32_t queue_offset;
  uint32_t slots_offset;
  uint32_t staging_offset;
  uint32_t staging_size;
  uint32_t ring_index;
  uint32_t first_ticket;
  uint32_t reserved0[6];
  uint32_t tail;
  uint32_t reserved1[15];
};
static_assert(offsetof(RingHeader, magic) == 0);
static_assert(offsetof(RingHeader, version) == 4);
static_assert(offsetof(RingHeader, slot_count) == 8);
static_assert(offsetof(RingHeader, queue_capacity) == 12);
static_assert(offsetof(RingHeader, queue_offset) == 16);
static_assert(offsetof(RingHeader, slots_offset) == 20);
static_assert(offsetof(RingHeader, staging_offset) == 24);
static_assert(offsetof(RingHeader, staging_size) == 28);
static_assert(offsetof(RingHeader, ring_index) == 32);
static_assert(offsetof(RingHeader, first_ticket) == 36);
static_assert(offsetof(RingHeader, reserved0) == 40);
static_assert(offsetof(RingHeader, tail) == 64);
static_assert(offsetof(RingHeader, reserved1) == 68);
static_assert(sizeof(RingHeader) == 128);

// One entry of the submission queue (E): (ticket + 1) << 32 | slot.
struct QueueEntry {
  uint64_t value;
};
static_assert(offsetof(QueueEntry, value) == 0);
static_assert(sizeof(QueueEntry) == 8);

// One guest thread's slot: 256 bytes.
struct Slot {
  uint32_t nr;
  uint32_t staged_mask;
  uint32_t staged_length;
  uint32_t waiting;
  uint64_t args[6];
  uint32_t done;
  uint32_t verb;
  int64_t result;
  uint64_t operands[6];
  uint64_t signal_mask;
  uint32_t tid;
  uint32_t reserved2;
  uint16_t staged_offset[8];
  uint64_t reserved3[4];
  uint64_t pending;
  uint32_t attention;
  uint32_t reserved4[13];
};
static_assert(offsetof(Slot, nr) == 0);
static_assert(offsetof(Slot, staged_mask) == 4);
static_assert(offsetof(Slot, staged_length) == 8);
static_assert(offsetof(Slot, waiting) == 12);
static_assert(offsetof(Slot, args) == 16);
static_assert(offsetof(Slot, done) == 64);
static_assert(offsetof(Slot, verb) == 68);
static_assert(offsetof(Slot, result) == 72);
static_assert(offsetof(Slot, operands) == 80);
static_assert(offsetof(Slot, signal_mask) == 128);
static_assert(offsetof(Slot, tid) == 136);
static_assert(offsetof(Slot, reserved2) == 140);
static_assert(offsetof(Slot, staged_offset) == 144);
static_assert(offsetof(Slot, reserved3) == 160);
static_assert(offsetof(Slot, pending) == 192);
static_assert(offsetof(Slot, attention) == 200);
static_assert(offsetof(Slot, reserved4) == 204);
static_assert(sizeof(Slot) == 256);

// The page all rings of a container share.
struct Doorbell {
  uint32_t sequence;
  uint32_t reserved0[15];
  uint32_t sleeping;
  uint32_t cpu;
  uint32_t reserved1[14];
  uint64_t pending[64];
};
static_assert(offsetof(Doorbell, sequence) == 0);
static_assert(offsetof(Doorbell, reserved0) == 4);
static_assert(offsetof(Doorbell, sleeping) == 64);
static_assert(offsetof(Doorbell, cpu) == 68);
static_assert(offsetof(Doorbell, reserved1) == 72);
static_assert(offsetof(Doorbell, pending) == 128);
static_assert(sizeof(Doorbell) == 640);

// One step of building a fresh address space; an array of them lies in slot 0's staging area.
// `flags` of PLAN_TRANSLATIONS is no mapping, but says that `fd` has translations of the file mapped before at `addr`.
struct PlanStep {
  uint64_t addr;
  uint64_t length;
  uint64_t offset;
  uint32_t prot;
  uint32_t flags;
  int32_t fd;
  uint32_t reserved0;
};
static_assert(offsetof(PlanStep, addr) == 0);
static_assert(offsetof(PlanStep, length) == 8);
static_assert(offsetof(PlanStep, offset) == 16);
static_assert(offsetof(PlanStep, prot) == 24);
static_assert(offsetof(PlanStep, flags) == 28);
static_assert(offsetof(PlanStep, fd) == 32);
static_assert(offsetof(PlanStep, reserved0) == 36);
static_assert(sizeof(PlanStep) == 40);

// What an executor knows of the addresses that are the guest's, in its own memory: OwnedHeader, then OwnedRange[count]
// by address and without overlaps. The sentry reads it for /proc.
struct OwnedHeader {
  uint32_t lock;
  uint32_t count;
  uint64_t sequence;
  uint64_t code;
};
static_assert(offsetof(OwnedHeader, lock) == 0);
static_assert(offsetof(OwnedHeader, count) == 4);
static_assert(offsetof(OwnedHeader, sequence) == 8);
static_assert(offsetof(OwnedHeader, code) == 16);
static_assert(sizeof(OwnedHeader) == 24);

// What a guest whose code is translated may execute: CodeHeader, then CodeRange[count] by address and without overlaps.
// The host may execute none of it.
struct CodeHeader {
  uint32_t version;
  uint32_t count;
  uint64_t made;
};
static_assert(offsetof(CodeHeader, version) == 0);
static_assert(offsetof(CodeHeader, count) == 4);
static_assert(offsetof(CodeHeader, made) == 8);
static_assert(sizeof(CodeHeader) == 16);

struct CodeRange {
  uint64_t begin;
  uint64_t end;
};
static_assert(offsetof(CodeRange, begin) == 0);
static_assert(offsetof(CodeRange, end) == 8);
static_assert(sizeof(CodeRange) == 16);

// Addresses that the guest mapped. The sentry knows by the tag what.
struct OwnedRange {
  uint64_t begin;
  uint64_t end;
  uint64_t offset;
  uint32_t tag;
  uint32_t reserved0;
};
static_assert(offsetof(OwnedRange, begin) == 0);
static_assert(offsetof(OwnedRange, end) == 8);
static_assert(offsetof(OwnedRange, offset) == 16);
static_assert(offsetof(OwnedRange, tag) == 24);
static_assert(offsetof(OwnedRange, reserved0) == 28);
static_assert(sizeof(OwnedRange) == 32);

// A request to the launcher; its descriptors follow by SCM_RIGHTS: pidfds of processes to reap, and for one more
// executor ring, doorbell, files.
struct LauncherRequest {
  uint64_t token;
  uint32_t reap_count;
  uint32_t file_count;
  uint32_t step_count;
  uint32_t answer;
  uint8_t name[16];
};
static_assert(offsetof(LauncherRequest, token) == 0);
static_assert(offsetof(LauncherRequest, reap_count) == 8);
static_assert(offsetof(LauncherRequest, file_count) == 12);
static_assert(offsetof(LauncherRequest, step_count) == 16);
static_assert(offsetof(LauncherRequest, answer) == 20);
static_assert(offsetof(LauncherRequest, name) == 24);
static_assert(sizeof(LauncherRequest) == 40);

// The launcher's word that the host would not let it start an executor; or an answer.
struct LauncherReply {
  uint64_t token;
  uint32_t error;
  uint32_t answer;
  uint32_t status;
  uint32_t reserved0;
};
static_assert(offsetof(LauncherReply, token) == 0);
static_assert(offsetof(LauncherReply, error) == 8);
static_assert(offsetof(LauncherReply, answer) == 12);
static_assert(offsetof(LauncherReply, status) == 16);
static_assert(offsetof(LauncherReply, reserved0) == 20);
static_assert(sizeof(LauncherReply) == 24);

// What a process that translates a file ahead is asked for; `pc_count` places in the file follow, each a uint.
struct AheadRequest {
  uint64_t offset;
  uint64_t length;
  uint64_t pc_count;
};
static_assert(offsetof(AheadRequest, offset) == 0);
static_assert(offsetof(AheadRequest, length) == 8);
static_assert(offsetof(AheadRequest, pc_count) == 16);
static_assert(sizeof(AheadRequest) == 24);

// What the launcher tells the sentry once, before the first request.
struct LauncherHello {
  uint64_t stub_start;
  uint64_t stub_end;
  uint64_t vdso;
  uint64_t hwcap;
  uint64_t hwcap2;
  uint32_t minsigstksz;
  uint32_t clock_tick;
  uint8_t build[20];
  uint32_t reserved0;
};
static_assert(offsetof(LauncherHello, stub_start) == 0);
static_assert(offsetof(LauncherHello, stub_end) == 8);
static_assert(offsetof(LauncherHello, vdso) == 16);
static_assert(offsetof(LauncherHello, hwcap) == 24);
static_assert(offsetof(LauncherHello, hwcap2) == 32);
static_assert(offsetof(LauncherHello, minsigstksz) == 40);
static_assert(offsetof(LauncherHello, clock_tick) == 44);
static_assert(offsetof(LauncherHello, build) == 48);
static_assert(offsetof(LauncherHello, reserved0) == 68);
static_assert(sizeof(LauncherHello) == 72);

// A submission as the sentry's private copy of it: an array of them is what one wait returns.
struct Submission {
  uint32_t ring;
  uint32_t slot;
  uint32_t nr;
  uint32_t staged_mask;
  uint64_t args[6];
  uint16_t staged_offset[8];
  uint32_t payload_offset;
  uint32_t payload_length;
};
static_assert(offsetof(Submission, ring) == 0);
static_assert(offsetof(Submission, slot) == 4);
static_assert(offsetof(Submission, nr) == 8);
static_assert(offsetof(Submission, staged_mask) == 12);
static_assert(offsetof(Submission, args) == 16);
static_assert(offsetof(Submission, staged_offset) == 64);
static_assert(offsetof(Submission, payload_offset) == 80);
static_assert(offsetof(Submission, payload_length) == 84);
static_assert(sizeof(Submission) == 88);

}  // namespace dd::ring
