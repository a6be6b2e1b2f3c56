// Starting the launcher, and descriptors over sockets: the two host operations whose C structures
// are more trouble in JavaScript than here.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "ring/addon.h"

namespace dd {
namespace {

constexpr size_t kMaxDescriptors = 64;
constexpr int kFirstFd = 3;

napi_value FromLong(napi_env env, int64_t number) {
  napi_value value;
  napi_create_int64(env, number, &value);
  return value;
}

bool GetArray(napi_env env, napi_value value, void** data, size_t* length) {
  bool is_array = false;
  return napi_is_typedarray(env, value, &is_array) == napi_ok && is_array &&
         napi_get_typedarray_info(env, value, nullptr, length, data, nullptr, nullptr) == napi_ok;
}

std::string GetString(napi_env env, napi_value value) {
  size_t length = 0;
  napi_get_value_string_utf8(env, value, nullptr, 0, &length);
  std::string text(length, '\0');
  napi_get_value_string_utf8(env, value, text.data(), length + 1, &length);
  return text;
}

// spawnLauncher(path, stage, stderrFd, Int32Array) -> pid or negative errno. The child has an empty
// environment, the default signal state, and no descriptors but 2 (stderrFd) and, from 3 on, the
// array's.
napi_value SpawnLauncher(napi_env env, napi_callback_info info) {
  napi_value values[4];
  size_t count = 4;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  std::string path = GetString(env, values[0]);
  std::string stage = GetString(env, values[1]);
  int32_t error = -1;
  void* fds = nullptr;
  size_t fd_count = 0;
  napi_get_value_int32(env, values[2], &error);
  if (!GetArray(env, values[3], &fds, &fd_count) || fd_count > kMaxDescriptors) {
    return Throw(env, "Expected at most 64 descriptors");
  }

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  // A session of its own: Ctrl-C on the sentry's terminal is for the sentry to pass on.
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  // Above all sources and targets first, so that no duplicate overwrites another's source.
  const int given = static_cast<int>(fd_count);
  const int* sources = static_cast<const int*>(fds);
  int spare = std::max(error, kFirstFd + given) + 1;
  for (int i = 0; i < given; i++) spare = std::max(spare, sources[i] + 1);
  posix_spawn_file_actions_adddup2(&actions, error, spare);
  for (int i = 0; i < given; i++) {
    posix_spawn_file_actions_adddup2(&actions, sources[i], spare + 1 + i);
  }
  posix_spawn_file_actions_adddup2(&actions, spare, 2);
  for (int i = 0; i < given; i++) {
    posix_spawn_file_actions_adddup2(&actions, spare + 1 + i, kFirstFd + i);
  }
  posix_spawn_file_actions_addclosefrom_np(&actions, kFirstFd + given);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  char name[] = "dd-guest";
  char* const argv[] = {name, stage.data(), nullptr};
  char* const envp[] = {nullptr};
  pid_t pid = -1;
  const int result = posix_spawn(&pid, path.c_str(), &actions, &attributes, argv, envp);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return FromLong(env, result == 0 ? pid : -result);
}

// sendDescriptors(socket, bytes, Int32Array) -> bytes sent or negative errno.
napi_value SendDescriptors(napi_env env, napi_callback_info info) {
  napi_value values[3];
  size_t count = 3;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  int32_t socket = -1;
  void* data = nullptr;
  void* fds = nullptr;
  size_t length = 0;
  size_t fd_count = 0;
  napi_get_value_int32(env, values[0], &socket);
  if (!GetArray(env, values[1], &data, &length) || !GetArray(env, values[2], &fds, &fd_count) ||
      fd_count > kMaxDescriptors) {
    return Throw(env, "Expected bytes and at most 64 descriptors");
  }
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))] = {};
  iovec iov{data, length};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  if (fd_count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
  }
  const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  return FromLong(env, sent < 0 ? -errno : sent);
}

// receiveDescriptors(socket, bytes, Int32Array) -> bytes received or negative errno. Received
// descriptors (close-on-exec) fill the array from the front, the rest of it becomes -1; what does
// not fit is closed.
napi_value ReceiveDescriptors(napi_env env, napi_callback_info info) {
  napi_value values[3];
  size_t count = 3;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  int32_t socket = -1;
  void* data = nullptr;
  void* fds = nullptr;
  size_t length = 0;
  size_t fd_count = 0;
  napi_get_value_int32(env, values[0], &socket);
  if (!GetArray(env, values[1], &data, &length) || !GetArray(env, values[2], &fds, &fd_count)) {
    return Throw(env, "Expected room for bytes and for descriptors");
  }
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
  iovec iov{data, length};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (received < 0) return FromLong(env, -errno);
  int* out = static_cast<int*>(fds);
  size_t stored = 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < here; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      if (stored < fd_count) {
        out[stored++] = fd;
      } else {
        close(fd);
      }
    }
  }
  while (stored < fd_count) out[stored++] = -1;
  return FromLong(env, received);
}

}  // namespace

void RegisterDescriptors(napi_env env, napi_value exports) {
  Export(env, exports, "spawnLauncher", SpawnLauncher);
  Export(env, exports, "sendDescriptors", SendDescriptors);
  Export(env, exports, "receiveDescriptors", ReceiveDescriptors);
}

}  // namespace dd
