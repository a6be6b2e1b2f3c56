// The sentry's way to the host kernel: one raw system call per JavaScript call. The typed, checked
// wrappers are TypeScript (sentry/host); nothing outside that room calls this.
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "ring/addon.h"

namespace dd {
namespace {

constexpr size_t kMaxArguments = 7;  // the number and six registers

// Turns one JavaScript argument into a register: a number or bigint by value, a typed array by the
// address of its bytes, null and undefined as 0.
bool ToRegister(napi_env env, napi_value value, long* out) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok) return false;
  switch (type) {
    case napi_number: {
      int64_t number;
      if (napi_get_value_int64(env, value, &number) != napi_ok) return false;
      *out = static_cast<long>(number);
      return true;
    }
    case napi_bigint: {
      uint64_t number;
      bool lossless;
      if (napi_get_value_bigint_uint64(env, value, &number, &lossless) != napi_ok) return false;
      *out = static_cast<long>(number);
      return true;
    }
    case napi_object: {
      void* data = nullptr;
      bool is_array = false;
      if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array) return false;
      if (napi_get_typedarray_info(env, value, nullptr, nullptr, &data, nullptr, nullptr) !=
          napi_ok) {
        return false;
      }
      *out = reinterpret_cast<long>(data);
      return true;
    }
    case napi_null:
    case napi_undefined:
      *out = 0;
      return true;
    default:
      return false;
  }
}

napi_value FromLong(napi_env env, long result) {
  napi_value value;
  napi_create_int64(env, result, &value);
  return value;
}

// syscall(number, ...registers) -> result, or the negative host errno.
napi_value Syscall(napi_env env, napi_callback_info info) {
  napi_value arguments[kMaxArguments];
  size_t count = kMaxArguments;
  long registers[kMaxArguments] = {};
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  if (count > kMaxArguments) return Throw(env, "At most six arguments fit a system call");
  for (size_t i = 0; i < count; i++) {
    if (!ToRegister(env, arguments[i], &registers[i])) {
      return Throw(env, "An argument is neither a number nor a bigint nor a typed array");
    }
  }
  const long result = syscall(registers[0], registers[1], registers[2], registers[3], registers[4],
                              registers[5], registers[6]);
  return FromLong(env, result == -1 ? -static_cast<long>(errno) : result);
}

// addressOf(typedArray) -> address of its first byte. The caller keeps the array alive and in place
// (a Buffer allocated outside the young generation, or one over external memory).
napi_value AddressOf(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  long address = 0;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  if (count != 1 || !ToRegister(env, argument, &address)) {
    return Throw(env, "The argument is not a typed array");
  }
  return FromLong(env, address);
}

}  // namespace

void RegisterHostCall(napi_env env, napi_value exports) {
  Export(env, exports, "syscall", Syscall);
  Export(env, exports, "addressOf", AddressOf);
}

}  // namespace dd
