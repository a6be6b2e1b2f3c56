// What the launcher tells the sentry; profiles/linux/report.ts reads it.
#ifndef DD_GUEST_CONFINE_REPORT_H_
#define DD_GUEST_CONFINE_REPORT_H_

#include <span>

#include "guest/confine/failure.h"

namespace dd::confine {

// The most descriptors that one report carries.
inline constexpr size_t kReportDescriptorsMax = 2;

// Sends a report and copies of `descriptors` over a SOCK_SEQPACKET unix socket.
Failure SendReport(int control, const Report& report, std::span<const int> descriptors = {});

// Tells the sentry which step failed. That the sentry is gone too is no news.
void ReportFailure(int control, const Failure& failure);

}  // namespace dd::confine

#endif  // DD_GUEST_CONFINE_REPORT_H_
