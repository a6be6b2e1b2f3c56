// Translating a file's code ahead of its next use, in a process that holds no guest and may ask the
// host for nothing but to read, to write and to end.
#pragma once

namespace dd::launcher {

// Descriptors: 3 the file, 4 an AheadRequest and its addresses, 5 where a StoredHeader and all that
// belongs to it is written. The exit status: 0, or why there is none.
int TranslateAhead();

}  // namespace dd::launcher
