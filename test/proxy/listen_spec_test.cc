#include "proxy/listen_spec.h"

#include "test/test.h"

namespace sluice::proxy {

TEST_CASE("listeners as fabio writes them") {
  const Result<std::vector<ListenSpec>> specs = parse_listen_specs(
      ":9999, 127.0.0.1:443;cs=\"some;store\";rt=1m30s;tlsmin=tls12;strictmatch=true,"
      "[::1]:81;proto=tcp+sni;pxyproto=true;pxytimeout=1.5s,:1;proto=tcp-dynamic;refresh=3s");
  REQUIRE(specs);
  REQUIRE(specs->size() == 4);
  EXPECT_EQ((*specs)[0].address.port(), 9999);
  EXPECT((*specs)[0].protocol == ListenProtocol::kHttp);
  EXPECT((*specs)[1].protocol == ListenProtocol::kHttps);
  EXPECT_EQ((*specs)[1].cert_store, "some;store");
  EXPECT_EQ((*specs)[1].read_timeout_ms, 90'000);
  EXPECT_EQ((*specs)[1].tls_min, 0x0303);
  EXPECT((*specs)[1].strict_match);
  EXPECT_EQ((*specs)[2].address.text(), "[::1]:81");
  EXPECT((*specs)[2].protocol == ListenProtocol::kTcpSni);
  EXPECT_EQ((*specs)[2].proxy_timeout_ms, 1500);
  EXPECT_EQ((*specs)[3].refresh_ms, 3000);
}

TEST_CASE("TLS versions: names in any case, and the protocol's numbers") {
  const auto specs = parse_listen_specs(":1;cs=a;tlsmin=TLS10;tlsmax=0x0303,:2;cs=a;tlsmin=Tls13");
  REQUIRE(specs);
  EXPECT_EQ((*specs)[0].tls_min, 0x0301);
  EXPECT_EQ((*specs)[0].tls_max, 0x0303);
  EXPECT_EQ((*specs)[1].tls_min, 0x0304);
  EXPECT(!parse_listen_specs(":1;cs=a;tlsmin=0x0300"));
}

TEST_CASE("a listener that is wrong says which and why") {
  const auto reason = [](std::string_view text) {
    const auto specs = parse_listen_specs(text);
    return specs ? std::string("fine") : specs.error().message;
  };
  EXPECT_EQ(reason(":99999"), "listener :99999: port 99999 is not a port");
  EXPECT_EQ(reason("x"), "listener x: wants [host]:port");
  EXPECT_EQ(reason("name:80"), "listener name:80: not an IP address: name");
  EXPECT_EQ(reason(":1;proto=ftp"), "listener :1;proto=ftp: proto: ftp is not a protocol");
  EXPECT_EQ(reason(":1;rt=3"),
            "listener :1;rt=3: rt: '3' is not a duration: "
            "want numbers with units, like 1h30m or 250ms");
  EXPECT_EQ(reason(":1;foo=3"), "listener :1;foo=3: foo: unknown option");
  EXPECT_EQ(reason(":1;proto=https"),
            "listener :1;proto=https: proto=https needs a certificate store (cs=...)");
  EXPECT_EQ(reason(":1;cs=\"a"), "listeners :1;cs=\"a: quote \" is not closed");
}

}  // namespace sluice::proxy
