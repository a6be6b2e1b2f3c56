// Entry point of the addon: each part registers its own functions.
#include "ring/addon.h"

namespace dd {

napi_value Throw(napi_env env, const char* message) {
  napi_throw_error(env, nullptr, message);
  return nullptr;
}

void Export(napi_env env, napi_value exports, const char* name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
  napi_set_named_property(env, exports, name, value);
}

}  // namespace dd

extern "C" NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports);

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  dd::RegisterHostCall(env, exports);
  dd::RegisterHub(env, exports);
  dd::RegisterDescriptors(env, exports);
  dd::RegisterHosted(env, exports);
  dd::RegisterMapping(env, exports);
  dd::RegisterRestrictThreads(env, exports);
  return exports;
}

extern "C" NAPI_MODULE_EXPORT int32_t node_api_module_get_api_version_v1(void);

int32_t node_api_module_get_api_version_v1(void) { return 8; }
