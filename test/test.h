// The unit tests' one door to doctest. doctest's short names are off, because CHECK is ours
// (core/check.h): tests say TEST_CASE, SUBCASE, EXPECT (goes on after a failure) and REQUIRE (ends
// the case).
#pragma once

#define DOCTEST_CONFIG_NO_SHORT_MACRO_NAMES
#define DOCTEST_CONFIG_SUPER_FAST_ASSERTS
#include <doctest/doctest.h>

#define TEST_CASE(name) DOCTEST_TEST_CASE(name)
#define SUBCASE(name) DOCTEST_SUBCASE(name)
#define EXPECT(...) DOCTEST_CHECK(__VA_ARGS__)
#define EXPECT_EQ(...) DOCTEST_CHECK_EQ(__VA_ARGS__)
#define EXPECT_NE(...) DOCTEST_CHECK_NE(__VA_ARGS__)
#define REQUIRE(...) DOCTEST_REQUIRE(__VA_ARGS__)
#define REQUIRE_MESSAGE(...) DOCTEST_REQUIRE_MESSAGE(__VA_ARGS__)
#define EXPECT_MESSAGE(...) DOCTEST_CHECK_MESSAGE(__VA_ARGS__)
#define INFO(...) DOCTEST_INFO(__VA_ARGS__)
#define CAPTURE(x) DOCTEST_CAPTURE(x)
