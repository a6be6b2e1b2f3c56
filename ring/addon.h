// What the parts of the addon register with Node.
#pragma once

#include <node_api.h>

namespace dd {

// Throws a JavaScript Error carrying `message`; returns null so that callers can return the result.
napi_value Throw(napi_env env, const char* message);

// Adds function `name` to `exports`.
void Export(napi_env env, napi_value exports, const char* name, napi_callback function);

// Registers `syscall` and `addressOf`: see host_call.cc.
void RegisterHostCall(napi_env env, napi_value exports);

// Registers the hub and its functions: see hub_binding.cc.
void RegisterHub(napi_env env, napi_value exports);

// Registers `spawnLauncher`, `sendDescriptors`, `receiveDescriptors`: see descriptors.cc.
void RegisterDescriptors(napi_env env, napi_value exports);

// Registers `mapReadOnly`: see mapping.cc.
void RegisterMapping(napi_env env, napi_value exports);

// Registers what runs guests in this process: see guest/hosted/binding.cc.
void RegisterHosted(napi_env env, napi_value exports);

// Registers `restrictThreads`: see restrict_threads.cc.
void RegisterRestrictThreads(napi_env env, napi_value exports);

}  // namespace dd
