// Hosted guests for JavaScript.
#include <node_api.h>
#include <sys/auxv.h>

#include "guest/host/facts.h"
#include "guest/hosted/hosted.h"
#include "ring/addon.h"
#include "ring/hub.h"

namespace dd {
namespace {

bool IntArray(napi_env env, napi_value value, const int** data, size_t* length) {
  napi_typedarray_type type;
  void* bytes = nullptr;
  if (napi_get_typedarray_info(env, value, &type, length, &bytes, nullptr, nullptr) != napi_ok ||
      type != napi_int32_array) {
    return false;
  }
  *data = static_cast<const int*>(bytes);
  return true;
}

// startHosted(hub, ring, stepCount, files: Int32Array, lifeFd) -> host id of the first thread, or a
// negative errno.
napi_value StartHosted(napi_env env, napi_callback_info info) {
  napi_value values[5];
  size_t count = 5;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  void* data = nullptr;
  uint32_t index = 0;
  uint32_t steps = 0;
  int32_t life = -1;
  const int* files = nullptr;
  size_t file_count = 0;
  napi_get_value_external(env, values[0], &data);
  napi_get_value_uint32(env, values[1], &index);
  napi_get_value_uint32(env, values[2], &steps);
  napi_get_value_int32(env, values[4], &life);
  auto* hub = static_cast<Hub*>(data);
  if (hub == nullptr || !IntArray(env, values[3], &files, &file_count)) {
    return Throw(env, "Expected a hub and an Int32Array");
  }
  uint8_t* base = hub->BaseOf(index);
  if (base == nullptr) return Throw(env, "There is no such ring");
  const long result =
      hosted::Start({base, hub->doorbell(), index, std::span(files, file_count), life, steps});
  napi_value value;
  napi_create_int64(env, result, &value);
  return value;
}

void Set(napi_env env, napi_value object, const char* name, uint64_t number) {
  napi_value value;
  napi_create_bigint_uint64(env, number, &value);
  napi_set_named_property(env, object, name, value);
}

// hostedAuxv() -> what a program hosted here finds in its auxiliary vector.
napi_value HostedAuxv(napi_env env, napi_callback_info) {
  napi_value object;
  napi_create_object(env, &object);
  Set(env, object, "hwcap", getauxval(AT_HWCAP));
  Set(env, object, "hwcap2", getauxval(AT_HWCAP2));
  Set(env, object, "minsigstksz", getauxval(AT_MINSIGSTKSZ));
  Set(env, object, "clockTick", getauxval(AT_CLKTCK));
  Set(env, object, "vdso", getauxval(AT_SYSINFO_EHDR));
  return object;
}

}  // namespace

void RegisterHosted(napi_env env, napi_value exports) {
  Export(env, exports, "startHosted", StartHosted);
  Export(env, exports, "hostedAuxv", HostedAuxv);
}

}  // namespace dd
