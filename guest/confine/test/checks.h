#ifndef DD_GUEST_CONFINE_TEST_CHECKS_H_
#define DD_GUEST_CONFINE_TEST_CHECKS_H_

namespace dd::confine::test {

// Runs every check against a container confined by the description at `path`. Returns an exit
// status.
int RunChecks(const char* path, bool landlock);

}  // namespace dd::confine::test

#endif  // DD_GUEST_CONFINE_TEST_CHECKS_H_
