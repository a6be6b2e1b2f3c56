#ifndef DD_GUEST_CONFINE_TEST_LAUNCHER_H_
#define DD_GUEST_CONFINE_TEST_LAUNCHER_H_

namespace dd::confine::test {

// The program's other roles, by the first argument: prepare, launch, confined. Return an exit
// status.
int RunPrepare();
int RunLaunch(char* program);
int RunConfined();

}  // namespace dd::confine::test

#endif  // DD_GUEST_CONFINE_TEST_LAUNCHER_H_
