// What a fork of this process is not to have.
#ifndef DD_GUEST_HOSTED_FORKS_H_
#define DD_GUEST_HOSTED_FORKS_H_

namespace dd::hosted {

// Keeps what this process has written until now out of its forks: heaps and stacks, which no guest
// uses, and whose pages a fork would copy, and every later write to them once more. Libraries' own
// data stays, this object's first of all. To be called before anything is made that a guest's
// thread needs. What the host does not tell or do makes forks dearer, and nothing else.
void KeepOutOfForks();

}  // namespace dd::hosted

#endif  // DD_GUEST_HOSTED_FORKS_H_
