// Memory for one translation: taken from a block handed in, given back all at once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dd::ir {

class Arena {
 public:
  Arena(void* memory, size_t bytes) : begin_(static_cast<uint8_t*>(memory)), size_(bytes) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Room for `count` objects, uninitialised; null when there is none. T is plain data.
  template <typename T>
  T* Take(size_t count) {
    const size_t at = (used_ + alignof(T) - 1) & ~(alignof(T) - 1);
    if (at > size_ || count > (size_ - at) / sizeof(T)) return nullptr;
    used_ = at + count * sizeof(T);
    return reinterpret_cast<T*>(begin_ + at);
  }
  // Gives back what was taken after `end`, the end of the last object that is kept.
  void Keep(const void* end) {
    used_ = static_cast<size_t>(static_cast<const uint8_t*>(end) - begin_);
  }
  void Reset() { used_ = 0; }
  size_t room() const { return size_ - used_; }

 private:
  uint8_t* begin_;  // aligned as for the strictest type that is taken
  size_t size_;
  size_t used_ = 0;
};

}  // namespace dd::ir
