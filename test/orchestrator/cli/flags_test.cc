#include "orchestrator/cli/flags.h"

#include <array>

#include "test/test.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;
constexpr FlagSpec kSpecs[] = {{"verbose", Kind::kBool, ""},
                               {"check-index", Kind::kCount, ""},
                               {"var", Kind::kValue, ""},
                               {"deadline", Kind::kDuration, ""}};

Result<Flags> parse(std::vector<std::string> words, size_t words_before_rest = 0) {
  static constexpr std::array<std::span<const FlagSpec>, 1> kTables{std::span(kSpecs)};
  return Flags::parse(words, kTables, words_before_rest);
}

}  // namespace

TEST_CASE("every form of a flag is the same flag") {
  for (const char* form : {"-check-index=7", "--check-index=7"}) {
    const Result<Flags> flags = parse({form, "a.nomad"});
    REQUIRE(flags);
    EXPECT_EQ(flags->number_or("check-index", -1), 7);
    EXPECT_EQ(flags->words(), std::vector<std::string>{"a.nomad"});
  }
  const Result<Flags> flags =
      parse({"a.nomad", "-check-index", "0", "-verbose", "--var", "x=1", "-var=y=2"});
  REQUIRE(flags);
  EXPECT_EQ(flags->number_or("check-index", -1), 0);
  EXPECT(flags->is_on("verbose"));
  EXPECT_EQ(flags->all("var"), std::vector<std::string>{"x=1", "y=2"});
  EXPECT_EQ(flags->words(), std::vector<std::string>{"a.nomad"});
}

TEST_CASE("booleans may be turned off; durations are read") {
  const Result<Flags> flags = parse({"-verbose=false", "-deadline", "1h30m"});
  REQUIRE(flags);
  EXPECT(flags->has("verbose"));
  EXPECT(!flags->is_on("verbose"));
  EXPECT_EQ(flags->number_or("deadline", 0), 5'400'000'000'000);
}

TEST_CASE("a lone dash is a word; two end the flags; a command keeps its own") {
  EXPECT_EQ(parse({"-"})->words(), std::vector<std::string>{"-"});
  EXPECT_EQ(parse({"--", "-verbose"})->words(), std::vector<std::string>{"-verbose"});
  EXPECT_EQ(parse({"-verbose", "id", "ls", "-l", "--", "x"}, 2)->words(),
            std::vector<std::string>{"id", "ls", "-l", "--", "x"});
}

TEST_CASE("what is wrong is named") {
  EXPECT_EQ(parse({"-wat"}).error().message, "flag provided but not defined: -wat");
  EXPECT_EQ(parse({"-var"}).error().message, "flag needs an argument: -var");
  EXPECT_EQ(parse({"-check-index=x"}).error().message,
            "flag -check-index: \"x\" is not a whole number");
  EXPECT_EQ(parse({"-verbose=maybe"}).error().message,
            "flag -verbose: \"maybe\" is neither true nor false");
  EXPECT_EQ(parse({"-deadline=5"}).error().message,
            "flag -deadline: \"5\" is not a duration; write one such as 30s or 1h");
}

}  // namespace sluice::orchestrator::cli
