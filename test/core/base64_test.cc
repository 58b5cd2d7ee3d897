#include "core/base64.h"

#include "test/test.h"

namespace sluice {

TEST_CASE("base64: the vectors of RFC 4648 section 10, both ways") {
  for (const auto& [bytes, text] : {std::pair{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foob", "Zm9vYg=="},
                                    {"fooba", "Zm9vYmE="},
                                    {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text).value_or("?"), bytes);
  }
  const std::string all("\x00\xff\x80\n", 4);
  EXPECT_EQ(base64_decode(base64_encode(all)).value_or("?"), all);
}

TEST_CASE("base64: what is not base64 is refused") {
  for (const char* bad : {"Z", "Zg=", "Z===", "Zm9v\n", "Zg==Zg==", "Z*==", "=Zg="}) {
    CAPTURE(bad);
    EXPECT(!base64_decode(bad));
  }
}

}  // namespace sluice
