// Read-only views of host files as JavaScript memory: an index of any size is ready at once, and
// the pages that are never looked at are never read.
#include <errno.h>
#include <sys/mman.h>

#include <cstdint>

#include "ring/addon.h"

namespace dd {
namespace {

void Unmap(napi_env, void* address, void* length) {
  munmap(address, reinterpret_cast<size_t>(length));
}

// mapReadOnly(fd, length) -> ArrayBuffer over the first `length` bytes of the file, unmapped when
// it is collected; or the negative host errno. Writing to it is a fault: the pages are read-only.
napi_value MapReadOnly(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2;
  int32_t fd;
  int64_t length;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  if (count != 2 || napi_get_value_int32(env, arguments[0], &fd) != napi_ok ||
      napi_get_value_int64(env, arguments[1], &length) != napi_ok || length <= 0) {
    return Throw(env, "mapReadOnly wants a descriptor and a positive length");
  }
  const size_t bytes = static_cast<size_t>(length);
  void* address = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  napi_value result;
  if (address == MAP_FAILED) {
    napi_create_int32(env, -errno, &result);
    return result;
  }
#ifdef MADV_DONTFORK
  // A guest's process may be forked from this one: what the sentry maps is not for it to see.
  madvise(address, bytes, MADV_DONTFORK);
#endif
  if (napi_create_external_arraybuffer(env, address, bytes, Unmap, reinterpret_cast<void*>(bytes),
                                       &result) != napi_ok) {
    munmap(address, bytes);
    return Throw(env, "This Node does not allow external memory");
  }
  return result;
}

}  // namespace

void RegisterMapping(napi_env env, napi_value exports) {
  Export(env, exports, "mapReadOnly", MapReadOnly);
}

}  // namespace dd
