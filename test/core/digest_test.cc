#include "core/digest.h"

#include "core/base64.h"
#include "test/test.h"

namespace sluice {

TEST_CASE("digest: the known answers for \"abc\" and for nothing") {
  EXPECT_EQ(to_hex(digest(DigestKind::kMd5, "abc")), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(to_hex(digest(DigestKind::kSha1, "abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(to_hex(digest(DigestKind::kSha256, "abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(digest(DigestKind::kSha256, "")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest(DigestKind::kSha512, "abc").size(), 64u);
}

TEST_CASE("digest: a name-based UUID, RFC 9562 appendix A.4") {
  auto uuid = uuid_v5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com");
  REQUIRE(uuid.has_value());
  EXPECT_EQ(*uuid, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
  EXPECT(!uuid_v5("6ba7b810", "x").has_value());
  EXPECT(!uuid_v5("6ba7b810-9dad-11d1-80b4-00c04fd430cg", "x").has_value());
}

TEST_CASE("bcrypt: form, cost, a salt of its own each time, and what it refuses") {
  SeededRandom random(1);
  auto first = bcrypt("secret", 4, random);
  auto second = bcrypt("secret", 4, random);
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  EXPECT(first->starts_with("$2a$04$"));
  EXPECT_EQ(first->size(), 60u);
  EXPECT(*first != *second);
  EXPECT(!bcrypt("secret", 3, random).has_value());
  EXPECT(!bcrypt("secret", 17, random).has_value());
  EXPECT(!bcrypt(std::string(73, 'x'), 4, random).has_value());
}

TEST_CASE("rsa_decrypt: what was encrypted for the key, and nothing else") {
  // A key made for this test alone, and "hello" encrypted for it with another library.
  const std::string key =
      "-----BEGIN RSA PRIVATE KEY-----\n"
      "MIICXQIBAAKBgQDD6ufriEjaiKdBahetl+aume3lZip66mPq+4Bf+CV/HmAvEZcH\n"
      "kTY4Df2gpZSuFs9gmwxjPMmQXrTmmcBbOSLdU7X0pa5Zg94uSAJ3qwGx0a0gb1z0\n"
      "Q9m8Q7doQiYi7dykkUOYEV3fx6zjnNyVhkVkuZROymeoHlrblxc7z34EAQIDAQAB\n"
      "AoGAe6nPwBzjF4XARQsJbRp/kmA5CF6Hm9RNQ2qCqpEAYg+zWKJ6uV0QYyt5lyhN\n"
      "A+ID/g+ALzeUZxtQhmowP6R9+yjQxofgedoI8cVTYXLBa9rwh1iQQKJ3tkuvK01R\n"
      "uI5NP5F15ZGH8rMQlO1hTFcxba5BIdi/kAsbtC54u9Q3oNECQQDv+W3xOCXs5RqS\n"
      "vRv7MGDrWIE1cfrWVsKIzki7O9ugQro2fALyxhqnBhlic/Po2jLI50dP5pUuECZc\n"
      "30DucoR1AkEA0QBJx/4b6Mrf8hv1W+VmbvoDpxxCJPyBw3EUHMUMmuDa6O7WBZzi\n"
      "8ZYP/c84TVKCiPhUkcuSkPcyyokCrUmf3QJBAKisqQOBVN8DVj9IH0/a/HTP+9oG\n"
      "KKrZxtkELgk1FLW70UmUtznP11IJLnSOTiYgoMuoDO7zg24iOeTTo782zTUCQHCW\n"
      "8Cg92vkgeV3q89WKkhEMvHUEwxk7sggAXa5V9MFmimdbao5hgtxUU88OF62H2mxB\n"
      "IwXbndxcXs8+2eNSOz0CQQCUZy/6xpfPwE4avU2BChpK1tMsbbdnnvk/mlTd2dYL\n"
      "ypE5HY1YMCW+E3X7Q861Adxm1APWONMt5kv1uhwo9PCZ\n"
      "-----END RSA PRIVATE KEY-----\n";
  auto decoded = base64_decode(
      "tiaKVuH2Ad8ytKkRIxUV9B53Xycft2Q1+hjUIvAp65KuuOY2C5n7r0Xcmr9CtXD3TWFpFzbkDfou"
      "/bOjQbo28DfPES7yxT9JiGhPrekj8ZrDcdY12hLKRFNEKd3zb+PzPl5WhsFDMWdAh9fCSQhxYc4g"
      "YdBmaDCHT2XJ0cmguqI=");
  REQUIRE(decoded.has_value());
  std::string text = *decoded;
  auto plain = rsa_decrypt(text, key);
  REQUIRE(plain.has_value());
  EXPECT_EQ(*plain, "hello");
  text[5] = static_cast<char>(text[5] ^ 1);
  EXPECT(!rsa_decrypt(text, key).has_value());
  EXPECT(!rsa_decrypt(text, "no key").has_value());
}

}  // namespace sluice
