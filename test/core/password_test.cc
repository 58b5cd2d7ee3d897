#include "core/password.h"

#include <string>

#include "core/digest.h"
#include "test/test.h"

namespace sluice {

// Made by `openssl passwd`.
TEST_CASE("hashes of every kind, right and wrong") {
  struct Row {
    const char* password;
    const char* hash;
  };
  for (const Row& row :
       {Row{"secret", "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/"},
        Row{"", "$apr1$ab$S8K6Sgp3W8c9Jb6LxgywZ."},
        Row{"a much longer password than sixteen bytes", "$apr1$xyz$sngVNd2HxztpkLOqQL95a."},
        Row{"secret", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="},
        Row{"secret", "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1"}}) {
    CAPTURE(row.hash);
    EXPECT(is_password_hash(row.hash));
    EXPECT(verify_password(row.password, row.hash));
    EXPECT(!verify_password("Secret", row.hash));
    EXPECT(!verify_password(row.password + std::string(1, '\0'), row.hash));
    const std::string hash(row.hash);
    EXPECT(!verify_password(row.password, hash.substr(0, hash.size() - 1)));
  }
}

TEST_CASE("bcrypt of this library and of htpasswd's kind") {
  SeededRandom random(1);
  const Result<std::string> made = bcrypt("correct horse", 4, random);
  REQUIRE(made.has_value());
  EXPECT(is_password_hash(*made));
  EXPECT(verify_password("correct horse", *made));
  EXPECT(!verify_password("correct hors", *made));
  std::string apache = *made;
  apache[2] = 'y';
  EXPECT(verify_password("correct horse", apache));
}

TEST_CASE("what is no hash") {
  for (const char* text :
       {"", "secret", "$apr1$", "$2y$", "$9$x$y", "{SHA}", "{SSHA}abc", "$apr1$x"}) {
    CAPTURE(text);
    EXPECT(!verify_password("secret", text));
  }
  EXPECT(!is_password_hash("secret"));
  EXPECT(!is_password_hash("$9$x$y"));
  EXPECT(!is_password_hash("{SSHA}abc"));
}

}  // namespace sluice
