#include "core/result.h"

#include <cerrno>

#include "test/test.h"

namespace sluice {

TEST_CASE("an error that is passed up keeps its code and says what we were doing") {
  Result<int> inner = fail(Code::kNotFound, "job {} not found", "a");
  Result<int> outer = pass(inner, "plan");
  EXPECT_EQ(outer.error().code, Code::kNotFound);
  EXPECT_EQ(outer.error().message, "plan: job a not found");
}

TEST_CASE("errno becomes the code that callers decide on") {
  Result<int> refused = fail_errno(ECONNREFUSED, "connect 127.0.0.1:1");
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_EQ(refused.error().message, "connect 127.0.0.1:1: Connection refused");
  Result<int> missing = fail_errno(ENOENT, "open x");
  EXPECT_EQ(missing.error().code, Code::kNotFound);
}

}  // namespace sluice
