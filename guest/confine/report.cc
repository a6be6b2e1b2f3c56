#include "guest/confine/report.h"

#include <sys/socket.h>

#include <cstring>

namespace dd::confine {

Failure SendReport(int control, const Report& report, std::span<const int> descriptors) {
  Report copy = report;
  iovec payload = {.iov_base = &copy, .iov_len = sizeof(copy)};
  alignas(cmsghdr) char ancillary[CMSG_SPACE(kReportDescriptorsMax * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  if (descriptors.size() > kReportDescriptorsMax) return {Step::kHandshake, EINVAL};
  if (!descriptors.empty()) {
    message.msg_control = ancillary;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(control, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(sizeof(copy)) ? kDone : Failed(Step::kHandshake);
}

void ReportFailure(int control, const Failure& failure) {
  const Report report = {ReportKind::kFailed, failure.step, failure.error, 0};
  [[maybe_unused]] const Failure ignored = SendReport(control, report);
}

}  // namespace dd::confine
