#ifndef DD_GUEST_CONFINE_TEST_DESCRIBE_H_
#define DD_GUEST_CONFINE_TEST_DESCRIBE_H_

namespace dd::confine::test {

// Prints a description as JSON, as this side reads it. Returns 1 when it is refused.
int RunDescribe(const char* path);

}  // namespace dd::confine::test

#endif  // DD_GUEST_CONFINE_TEST_DESCRIBE_H_
