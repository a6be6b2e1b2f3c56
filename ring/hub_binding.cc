// Hub for JavaScript. Each function takes the handle createHub returned first.
#include <errno.h>
#include <string.h>

#include "ring/addon.h"
#include "ring/hub.h"

// Node's event loop, as far as a wait must know of it; declared here because Node's packages do not
// all come with uv.h. Both functions are part of libuv's stable ABI.
extern "C" {
struct uv_loop_s;
int uv_backend_fd(const uv_loop_s* loop);
}

namespace dd {
namespace {

constexpr size_t kMaxArguments = 6;

// The arguments of one call, the hub already taken out of the first.
struct Call {
  napi_env env;
  napi_value values[kMaxArguments] = {};
  size_t count = kMaxArguments;
  Hub* hub = nullptr;

  Call(napi_env e, napi_callback_info info) : env(e) {
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
    void* data = nullptr;
    if (count > 0 && napi_get_value_external(env, values[0], &data) == napi_ok) {
      hub = static_cast<Hub*>(data);
    }
  }

  int64_t Number(size_t index) const {
    int64_t value = 0;
    napi_get_value_int64(env, values[index], &value);
    return value;
  }
  uint32_t Index(size_t index) const { return static_cast<uint32_t>(Number(index)); }

  // The bytes of a typed array argument; null when it is not one.
  uint8_t* Bytes(size_t index, size_t* length) const {
    void* data = nullptr;
    bool is_array = false;
    *length = 0;
    if (napi_is_typedarray(env, values[index], &is_array) != napi_ok || !is_array) return nullptr;
    napi_typedarray_type type;
    napi_get_typedarray_info(env, values[index], &type, length, &data, nullptr, nullptr);
    if (type == napi_biguint64_array || type == napi_bigint64_array) *length *= 8;
    if (type == napi_int32_array || type == napi_uint32_array) *length *= 4;
    return static_cast<uint8_t*>(data);
  }

  napi_value Result(int64_t number) const {
    napi_value value;
    napi_create_int64(env, number, &value);
    return value;
  }
};

napi_value CreateHub(napi_env env, napi_callback_info) {
  auto* hub = new Hub;
  if (!hub->valid()) {
    delete hub;
    return Throw(env, "The host refused shared memory for a ring (memfd_create)");
  }
  napi_value handle;
  napi_create_external(
      env, hub, [](napi_env, void* data, void*) { delete static_cast<Hub*>(data); }, nullptr,
      &handle);
  return handle;
}

napi_value DoorbellFd(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  return call.Result(call.hub->doorbell_fd());
}

// hubBatch(hub) -> Uint8Array over the private batch: Submission[kBatchLimit], then the payload.
napi_value BatchArray(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  napi_value buffer;
  napi_value array;
  if (napi_create_external_arraybuffer(env, call.hub->batch(), sizeof(Batch), nullptr, nullptr,
                                       &buffer) != napi_ok) {
    return Throw(env, "This Node does not allow external array buffers");
  }
  napi_create_typedarray(env, napi_uint8_array, sizeof(Batch), buffer, 0, &array);
  return array;
}

napi_value Watch(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  uv_loop_s* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  call.hub->Watch(
      {{static_cast<int>(call.Number(1)), kDescriptorsReady}, {uv_backend_fd(loop), kLoopReady}});
  return nullptr;
}

// hubCreateRing(hub, Int32Array(1) fd) -> index or negative errno.
napi_value CreateRing(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  size_t length;
  uint8_t* out = call.Bytes(1, &length);
  if (out == nullptr || length < sizeof(int)) return Throw(env, "Not an Int32Array");
  int fd = -1;
  const int index = call.hub->Create(&fd);
  memcpy(out, &fd, sizeof fd);
  return call.Result(index);
}

napi_value DestroyRing(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  call.hub->Destroy(call.Index(1));
  return nullptr;
}

// hubWait(hub, spinNs, timeoutMs) -> submissions | WaitFlags << 8.
napi_value Wait(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  uint32_t flags = 0;
  const uint32_t count =
      call.hub->Wait(static_cast<uint64_t>(call.Number(1)), call.Number(2), &flags);
  return call.Result(count | (flags << 8));
}

napi_value TakeViolation(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  return call.Result(call.hub->TakeViolation());
}

// hubComplete(hub, ring, slot, verb, result, operands: BigUint64Array | null).
napi_value Complete(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  size_t length;
  const uint8_t* operands = call.Bytes(5, &length);
  ring::Slot* slot = call.hub->SlotOf(call.Index(1), call.Index(2));
  if (slot == nullptr) return nullptr;
  // What an earlier reply left must not be taken for this one's.
  slot->operands[0] = 0;
  if (operands != nullptr) {
    memcpy(slot->operands, operands,
           length < sizeof slot->operands ? length : sizeof slot->operands);
  }
  call.hub->Complete(call.Index(1), call.Index(2), static_cast<ring::Verb>(call.Index(3)),
                     call.Number(4));
  return nullptr;
}

// hubStage(hub, ring, slot, offset, bytes): stores bytes into a slot's staging area.
napi_value Stage(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  size_t length;
  const uint8_t* bytes = call.Bytes(4, &length);
  uint8_t* staging = call.hub->StagingOf(call.Index(1), call.Index(2));
  const uint64_t offset = call.Index(3);
  if (bytes == nullptr || staging == nullptr || offset > ring::kStagingSize ||
      length > ring::kStagingSize - offset) {
    return Throw(env, "The bytes do not fit the staging area");
  }
  memcpy(staging + offset, bytes, length);
  return nullptr;
}

// hubStagingAddress(hub, ring, slot) -> address of a slot's staging area in this process, 0 for
// none.
napi_value StagingAddress(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  return call.Result(reinterpret_cast<int64_t>(call.hub->StagingOf(call.Index(1), call.Index(2))));
}

// hubSignalMask(hub, ring, slot) -> bigint.
napi_value SignalMask(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  ring::Slot* slot = call.hub->SlotOf(call.Index(1), call.Index(2));
  napi_value value;
  napi_create_bigint_uint64(env, slot == nullptr ? 0 : std::atomic_ref(slot->signal_mask).load(),
                            &value);
  return value;
}

// hubTid(hub, ring, slot) -> the thread's own claim of its host id.
napi_value Tid(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  ring::Slot* slot = call.hub->SlotOf(call.Index(1), call.Index(2));
  return call.Result(slot == nullptr ? 0 : std::atomic_ref(slot->tid).load());
}

// hubInit(hub, ring, slot, signalMask: bigint): prepares a slot for a new thread.
napi_value InitSlot(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  ring::Slot* slot = call.hub->SlotOf(call.Index(1), call.Index(2));
  if (slot == nullptr) return nullptr;
  uint64_t mask = 0;
  bool lossless;
  napi_get_value_bigint_uint64(env, call.values[3], &mask, &lossless);
  memset(static_cast<void*>(slot), 0, sizeof *slot);
  slot->signal_mask = mask;
  return nullptr;
}

// hubPending(hub, ring, slot, signals: bigint).
napi_value Pending(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  ring::Slot* slot = call.hub->SlotOf(call.Index(1), call.Index(2));
  uint64_t signals = 0;
  bool lossless;
  napi_get_value_bigint_uint64(env, call.values[3], &signals, &lossless);
  if (slot != nullptr) std::atomic_ref(slot->pending).store(signals);
  return nullptr;
}

// hubAttention(hub, ring, slot, 0 | 1).
napi_value Attention(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  ring::Slot* slot = call.hub->SlotOf(call.Index(1), call.Index(2));
  if (slot != nullptr) std::atomic_ref(slot->attention).store(call.Index(3));
  return nullptr;
}

}  // namespace

void RegisterHub(napi_env env, napi_value exports) {
  Export(env, exports, "createHub", CreateHub);
  Export(env, exports, "hubDoorbellFd", DoorbellFd);
  Export(env, exports, "hubBatch", BatchArray);
  Export(env, exports, "hubWatch", Watch);
  Export(env, exports, "hubCreateRing", CreateRing);
  Export(env, exports, "hubDestroyRing", DestroyRing);
  Export(env, exports, "hubWait", Wait);
  Export(env, exports, "hubTakeViolation", TakeViolation);
  Export(env, exports, "hubComplete", Complete);
  Export(env, exports, "hubStage", Stage);
  Export(env, exports, "hubStagingAddress", StagingAddress);
  Export(env, exports, "hubSignalMask", SignalMask);
  Export(env, exports, "hubTid", Tid);
  Export(env, exports, "hubInitSlot", InitSlot);
  Export(env, exports, "hubPending", Pending);
  Export(env, exports, "hubAttention", Attention);
}

}  // namespace dd
