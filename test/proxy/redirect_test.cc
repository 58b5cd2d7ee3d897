#include "proxy/redirect.h"

#include <string>

#include "test/test.h"

namespace sluice::proxy::test {

namespace {

std::string redirected(std::string_view url, std::string_view strip = "",
                       std::string_view path = "/q/x", std::string_view query = "?a=1",
                       size_t room = 256) {
  std::string text(room, '\0');
  HeadWriter out(text.data(), text.size());
  write_redirect(out, url, strip, {"a.com:8080", path, query});
  return out.ok() ? std::string(out.written(0)) : "no room";
}

}  // namespace

TEST_CASE("a redirect: $host, $path, and the query behind $path") {
  EXPECT_EQ(redirected("https://b.com$path"), "https://b.com/q/x?a=1");
  EXPECT_EQ(redirected("https://$host/in$path"), "https://a.com:8080/in/q/x?a=1");
  EXPECT_EQ(redirected("https://b.com/y"), "https://b.com/y");
}

TEST_CASE("a redirect: one slash before $path, and a path of / where there is none") {
  EXPECT_EQ(redirected("https://b.com/$path"), "https://b.com/q/x?a=1");
  EXPECT_EQ(redirected("https://b.com/in/$path"), "https://b.com/in/q/x?a=1");
  EXPECT_EQ(redirected("https://$host"), "https://a.com:8080/");
  EXPECT_EQ(redirected("https://b.com?z=1"), "https://b.com/?z=1");
}

TEST_CASE("a redirect: a query of its own stays alone") {
  EXPECT_EQ(redirected("https://b.com$path?z=1"), "https://b.com/q/x?z=1");
  EXPECT_EQ(redirected("https://b.com/y?z=1"), "https://b.com/y?z=1");
}

TEST_CASE("a redirect: strip cuts the front of a path that $path is part of") {
  EXPECT_EQ(redirected("https://b.com$path", "/q"), "https://b.com/x?a=1");
  EXPECT_EQ(redirected("https://b.com/$path", "/q/"), "https://b.com/x?a=1");
  EXPECT_EQ(redirected("https://b.com$path", "/q/x"), "https://b.com/?a=1");
  EXPECT_EQ(redirected("https://b.com/in$path", "/q"), "https://b.com/in/q/x?a=1");
  EXPECT_EQ(redirected("https://b.com/q/y", "/q"), "https://b.com/q/y");
}

TEST_CASE("a redirect: no room is said, with each size of it") {
  const std::string whole = redirected("https://b.com?z=1");
  for (size_t room = 0; room < whole.size(); ++room) {
    EXPECT_EQ(redirected("https://b.com?z=1", "", "/q/x", "", room), "no room");
  }
  EXPECT_EQ(redirected("https://b.com?z=1", "", "/q/x", "", whole.size()), whole);
}

TEST_CASE("a redirect that leads to itself: scheme, host and path are the request's") {
  const RedirectedRequest request{"a.com", "/x", "?a=1"};
  EXPECT(leads_to_itself("https://a.com/x", request, true));
  EXPECT(leads_to_itself("https://a.com/x?b=2", request, true));
  EXPECT(!leads_to_itself("https://a.com/x", request, false));
  EXPECT(leads_to_itself("http://a.com/x", request, false));
  EXPECT(!leads_to_itself("https://a.com/xy", request, true));
  EXPECT(!leads_to_itself("https://a.com.b/x", request, true));
  EXPECT(!leads_to_itself("https://b.com/x", request, true));
}

TEST_CASE("Forwarded: the proto of its first element") {
  EXPECT(forwarded_says_https("for=1.1.1.1; proto=https; by=2.2.2.2", false));
  EXPECT(forwarded_says_https("for=1.1.1.1;Proto=\"HTTPS\"", false));
  EXPECT(forwarded_says_https("proto=wss", false));
  EXPECT(!forwarded_says_https("proto=http, proto=https", true));
  EXPECT(!forwarded_says_https("for=1.1.1.1, proto=https", false));
  for (const char* text :
       {"", ";", "proto", "proto=", "xproto=https", "for=proto", "proto=gopher"}) {
    EXPECT(!forwarded_says_https(text, false));
    EXPECT(forwarded_says_https(text, true));
  }
}

}  // namespace sluice::proxy::test
