#include <string>
#include <vector>

#include "proxy/route_edit.h"
#include "test/test.h"

namespace sluice::proxy {
namespace {

const std::vector<std::string> kTags = {"urlprefix-a.com/", " blue ", "v1"};

TagContext context() {
  return {.service = "web",
          .instance = "web-1",
          .address = "10.0.0.1",
          .port = 5000,
          .datacenter = "dc1",
          .tags = kTags};
}

RouteSpec spec_of(std::string_view tag) {
  CAPTURE(tag);
  auto spec = parse_tag(tag, context());
  REQUIRE(spec.has_value());
  REQUIRE(spec->has_value());
  return **spec;
}

std::string reason_of(std::string_view tag) {
  CAPTURE(tag);
  auto spec = parse_tag(tag, context());
  REQUIRE(!spec.has_value());
  return spec.error().message;
}

TEST_CASE("tags: the five of the example jobs") {
  RouteSpec spec = spec_of("urlprefix-mysite.com:9999/");
  EXPECT_EQ(spec.host, "mysite.com:9999");
  EXPECT_EQ(spec.path, "/");
  EXPECT_EQ(to_string(spec.destination), "http://10.0.0.1:5000/");
  EXPECT_EQ(spec.service, "web");
  EXPECT_EQ(spec.instance, "web-1");
  EXPECT_EQ(spec.tags, std::vector<std::string>{"blue", "v1"});
  EXPECT_EQ(spec.options, RouteOptions{});

  spec = spec_of("urlprefix-mysite-sni-1.com/ proto=tcp+sni");
  EXPECT_EQ(spec.host, "mysite-sni-1.com");
  EXPECT_EQ(to_string(spec.destination), "tcp://10.0.0.1:5000");
  EXPECT_EQ(spec.options.text, "proto=tcp+sni");

  spec = spec_of("urlprefix-:9997 proto=tcp");
  EXPECT_EQ(spec.host, ":9997");
  EXPECT_EQ(spec.path, "");
  EXPECT_EQ(to_string(spec.destination), "tcp://10.0.0.1:5000");

  spec = spec_of("urlprefix-mysite-https.com:9999/ proto=https tlsskipverify=true");
  EXPECT_EQ(to_string(spec.destination), "https://10.0.0.1:5000");
  EXPECT(spec.options.tls_skip_verify);
  EXPECT_EQ(spec.options.text, "tlsskipverify=true");
}

TEST_CASE("tags: what is not one, and another prefix") {
  EXPECT(!parse_tag("blue", context()).value().has_value());
  EXPECT(!parse_tag("", context()).value().has_value());
  TagContext other = context();
  other.prefix = "route-";
  EXPECT(!parse_tag("urlprefix-a.com/", other).value().has_value());
  EXPECT(parse_tag("route-a.com/", other).value().has_value());
}

TEST_CASE("tags: host, path and expansion") {
  RouteSpec spec = spec_of("  urlprefix- WWW.Example.COM/Path/To ");
  EXPECT_EQ(spec.host, "www.example.com");
  EXPECT_EQ(spec.path, "/Path/To");
  spec = spec_of("urlprefix-$DC.example.com/${DC}/x$DCx/$DC");
  EXPECT_EQ(spec.host, "dc1.example.com");
  EXPECT_EQ(spec.path, "/dc1/x$DCx/dc1");
  EXPECT_EQ(spec_of("urlprefix-/foo").host, "");
  EXPECT_EQ(spec_of("urlprefix-/foo").path, "/foo");
  EXPECT_EQ(spec_of("urlprefix-*.Foo.com/").host, "*.foo.com");
  EXPECT_EQ(spec_of("urlprefix-a.com").path, "/");
  EXPECT_EQ(spec_of("urlprefix-1.2.3.4:3306 proto=tcp").host, "1.2.3.4:3306");
  EXPECT_EQ(spec_of("urlprefix-a.com./x").host, "a.com");
  EXPECT_EQ(spec_of("urlprefix-a.com.:99/x").host, "a.com:99");
  EXPECT_EQ(spec_of("urlprefix-[::1]:99/x").host, "[::1]:99");
  EXPECT_EQ(spec_of("urlprefix-[::1]/x").host, "[::1]");
}

TEST_CASE("tags: every option") {
  RouteSpec spec = spec_of(
      "urlprefix-a.com/ weight=0.25 strip=/p prepend=q host=dst pxyproto=true ondown=close "
      "grpcservername=g auth=basic register=r sticky=SID strategy=rr matcher=segment colour=red");
  EXPECT_EQ(spec.options.weight, 0.25);
  EXPECT_EQ(spec.options.strip, "/p");
  EXPECT_EQ(spec.options.prepend, "/q");
  EXPECT_EQ(spec.options.host, "dst");
  EXPECT(spec.options.proxy_protocol);
  EXPECT(spec.options.close_on_down);
  EXPECT_EQ(spec.options.grpc_server_name, "g");
  EXPECT_EQ(spec.options.auth, "basic");
  EXPECT_EQ(spec.options.register_name, "r");
  EXPECT_EQ(spec.options.sticky_cookie, "SID");
  EXPECT(spec.options.strategy == Strategy::kRoundRobin);
  EXPECT(spec.options.matcher == Matcher::kSegment);
  EXPECT_EQ(spec.options.ignored, "colour=red");
  EXPECT_EQ(spec.options.text,
            "strip=/p prepend=q host=dst pxyproto=true ondown=close grpcservername=g auth=basic "
            "register=r "
            "sticky=SID strategy=rr matcher=segment colour=red");
  spec = spec_of("urlprefix-a.com/ strategy=hash:header:X-User");
  EXPECT(spec.options.strategy == Strategy::kHash);
  EXPECT(spec.options.hash_input == HashInput::kHeader);
  EXPECT_EQ(spec.options.hash_name, "X-User");
  EXPECT_EQ(spec_of("urlprefix-a.com/ weight=-1").options.weight, 0);
  EXPECT(spec_of("urlprefix-a.com/ proto=grpcs").destination.scheme == Scheme::kGrpcs);
}

TEST_CASE("tags: a path that is not ASCII is kept as requests have it") {
  const RouteSpec spec = spec_of("urlprefix-a.com/\xc3\xbc/x strip=/\xc3\xbc");
  EXPECT_EQ(spec.path, "/%C3%BC/x");
  EXPECT_EQ(spec.options.strip, "/%C3%BC");
}

TEST_CASE("tags: redirects need a code and a URL, and no endpoint") {
  const RouteSpec spec = spec_of("urlprefix-a.com/ redirect=301,https://www.a.com/x,y$path");
  EXPECT_EQ(spec.options.redirect_code, 301);
  EXPECT_EQ(spec.options.redirect_url, "https://www.a.com/x,y$path");
  EXPECT_EQ(spec.options.text, "redirect=301");
  EXPECT_EQ(spec.destination.port, 0);
  for (const char* bad : {"redirect=200,http://a/", "redirect=x,http://a/", "redirect=301",
                          "redirect=301,", "redirect=301,ftp://a/", "redirect=3010,http://a/"}) {
    EXPECT(reason_of(std::string("urlprefix-a.com/ ") + bad).starts_with("redirect="));
  }
}

TEST_CASE("tags: limits, and a queue wherever there is one of connections") {
  RouteSpec spec =
      spec_of("urlprefix-a.com/ maxconn=3 maxreq=4 maxreqip=5 ratelimit=0.5 ratelimitip=100,10");
  EXPECT(spec.options.limits == LimitOptions{.connections = 3,
                                             .queue = kDefaultQueue,
                                             .requests = 4,
                                             .address_requests = 5,
                                             .rate = {.a_second = 0.5, .burst = 1},
                                             .address_rate = {.a_second = 100, .burst = 10}});
  EXPECT_EQ(spec_of("urlprefix-a.com/ maxqueue=0 maxconn=3").options.limits.queue, 0u);
  EXPECT(spec_of("urlprefix-a.com/").options.limits == LimitOptions());
  for (const char* bad :
       {"maxconn=", "maxconn=-1", "maxconn=1x", "maxreq=99999999999", "ratelimit=", "ratelimit=0",
        "ratelimit=-1", "ratelimit=1,", "ratelimit=1,x", "ratelimitip=nan", "ratelimitip=1e99",
        "sticky=", "sticky=a;b", "ondown=", "ondown=drop"}) {
    CAPTURE(bad);
    const std::string reason = reason_of(std::string("urlprefix-a.com/ ") + bad);
    EXPECT(reason.starts_with(std::string(bad).substr(0, std::string(bad).find('=') + 1)));
  }
}

TEST_CASE("tags: allow and deny") {
  RouteSpec spec = spec_of("urlprefix-a.com/ allow=ip:10.1.2.3/8,ip:fe80::1234");
  REQUIRE(spec.options.allow.size() == 2);
  EXPECT_EQ(int{spec.options.allow[0].bits}, 104);
  EXPECT_EQ(int{spec.options.allow[0].address[12]}, 10);
  EXPECT_EQ(int{spec.options.allow[0].address[13]}, 0);
  EXPECT_EQ(int{spec.options.allow[1].bits}, 128);
  EXPECT_EQ(int{spec_of("urlprefix-a.com/ deny=ip:1.2.3.4").options.deny[0].bits}, 128);
  EXPECT_EQ(int{spec_of("urlprefix-a.com/ deny=IP:0.0.0.0/0").options.deny[0].bits}, 96);
  for (const char* bad : {"allow=10.0.0.0/8", "allow=ip:10.0.0.0/33", "allow=ip:10.0.0", "allow=",
                          "deny=ip:", "deny=ip:10.0.0.0/", "deny=ip:1.2.3.4,,", "deny=ip:::1/129",
                          "allow=ip:1.2.3.4 deny=ip:1.2.3.4", "deny=ip:1.2.3.4/-1"}) {
    CAPTURE(bad);
    EXPECT(!reason_of(std::string("urlprefix-a.com/ ") + bad).empty());
  }
}

TEST_CASE("tags: wrong ones are refused with a reason") {
  EXPECT_EQ(reason_of("urlprefix-"), "the source is empty: expected host/path or :port");
  EXPECT_EQ(reason_of("urlprefix-:99999 proto=tcp"),
            "\":99999\" is not :PORT with a port from 1 to 65535");
  for (const char* bad :
       {"urlprefix-:0", "urlprefix-:x", "urlprefix-:80/", "urlprefix-a.com:/", "urlprefix-a.com:x/",
        "urlprefix-a.com/ proto=gopher", "urlprefix-a.com/ weight=x", "urlprefix-a.com/ weight=",
        "urlprefix-a.com/ weight=nan", "urlprefix-a.com/ tlsskipverify=yes",
        "urlprefix-a.com/ strategy=best", "urlprefix-a.com/ matcher=x", "urlprefix-a.com/\x01"}) {
    CAPTURE(bad);
    EXPECT(!reason_of(bad).empty());
  }
  TagContext none = context();
  none.port = 0;
  EXPECT_EQ(parse_tag("urlprefix-a.com/", none).error().message, "service \"web\" has no port");
  EXPECT(parse_tag("urlprefix-" + std::string(20000, 'a') + "/", context()).error().code ==
         Code::kLimit);
}

TEST_CASE("destinations") {
  const auto text = [](std::string_view in) { return to_string(parse_destination(in).value()); };
  EXPECT_EQ(text("http://1.2.3.4:5000/"), "http://1.2.3.4:5000/");
  EXPECT_EQ(text("http://Backend.Local"), "http://backend.local:80/");
  EXPECT_EQ(text("https://[::1]:8443/x"), "https://[::1]:8443");
  EXPECT_EQ(text("https://a"), "https://a:443");
  EXPECT_EQ(text("tcp://1.2.3.4:22"), "tcp://1.2.3.4:22");
  for (const char* bad :
       {"", "1.2.3.4:80", "ftp://a:1", "tcp://a", "http://", "http://a:0", "http://a:x",
        "http://[::1", "http://[::1]x", "http://u@a:1", "http://a/?b=c", "http://a#b"}) {
    CAPTURE(bad);
    EXPECT(!parse_destination(bad).has_value());
  }
}

}  // namespace
}  // namespace sluice::proxy
