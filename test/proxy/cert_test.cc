// Certificate stores without a network: what is parsed, how files pair, what stays of a bad one.
#include "core/disk.h"
#include "proxy/cert_client.h"
#include "proxy/cert_material.h"
#include "proxy/cert_spec.h"
#include "test/core/tls/material.h"
#include "test/test.h"

namespace sluice::proxy::test {

using tls::test::any_authority;
using tls::test::any_pair;
using tls::test::Folder;

TEST_CASE("certificate stores are parsed as fabio writes them") {
  auto specs = parse_cert_stores(
      "cs=a;type=file;cert=c.pem;key=k.pem;clientca=ca.pem, "
      "cs=b;type=http;cert=http://x/list;refresh=5s;hdr=\"A: b, c; d\","
      "cs=c;type=path;cert=/certs;refresh=0;caupgcn=ApiGateway,"
      "cs=d;type=vault;cert=secret/x;vaultfetchtoken=env:T;refresh=1ms");
  REQUIRE(specs);
  REQUIRE(specs->size() == 4);
  const CertStoreSpec& a = (*specs)[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.cert, "c.pem");
  EXPECT_EQ(a.key, "k.pem");
  EXPECT_EQ(a.client_ca, "ca.pem");
  EXPECT_EQ(a.refresh_ms, 3'000);
  EXPECT_EQ((*specs)[1].header, "A: b, c; d");
  EXPECT_EQ((*specs)[1].refresh_ms, 5'000);
  EXPECT_EQ((*specs)[2].refresh_ms, 0);
  EXPECT_EQ((*specs)[3].refresh_ms, CertStoreSpec::kLeastRefreshMs);
  EXPECT(parse_cert_stores("")->empty());
  for (const char* bad :
       {"type=file;cert=x", "cs=a;cert=x", "cs=a;type=file", "cs=a+b;type=file;cert=x",
        "cs=a;type=path;cert=x;key=y", "cs=a;type=file;cert=x;hdr=y",
        "cs=a;type=file;cert=x;refresh=soon", "cs=a;type=file;cert='x"}) {
    CAPTURE(bad);
    EXPECT(!parse_cert_stores(bad));
  }
  const auto names = split_store_names("a+ b +c");
  EXPECT(names == std::vector<std::string_view>{"a", "b", "c"});
}

TEST_CASE("URLs of stores") {
  const auto url = parse_cert_url("https://[::1]:8200/v1/kv/a%20b?token=x");
  REQUIRE(url);
  EXPECT(url->tls);
  EXPECT_EQ(url->authority(), "[::1]:8200");
  EXPECT_EQ(url->path, "/v1/kv/a%20b");
  EXPECT_EQ(url->query, "token=x");
  EXPECT_EQ(parse_cert_url("http://host")->authority(), "host:80");
  EXPECT_EQ(parse_cert_url("https://host?x")->authority(), "host:443");
  EXPECT_EQ(parse_cert_url("https://[::1]/")->authority(), "[::1]:443");
  for (const char* bad : {"host", "ftp://host/", "http:///", "http://h:0/", "http://h:70000/",
                          "http://h:x/", "http://u:p@h/"}) {
    CAPTURE(bad);
    EXPECT(!parse_cert_url(bad));
  }
}

TEST_CASE("files pair by their names") {
  const CertMaterial material = pair_up({{"d/a-cert.pem", "1"},
                                         {"d/a-key.pem", "2"},
                                         {"d/b.pem", "3"},
                                         {"d/c-cert.pem", "4"},
                                         {"d/d-key.pem", "5"},
                                         {"d/readme", "6"}});
  const std::vector<CertMaterial::Pair> pairs = {{"d/a-cert.pem", "1", "2"}, {"d/b.pem", "3", "3"}};
  EXPECT(material.pairs == pairs);
  const std::vector<RejectedCert> rejected = {{"d/c-cert.pem", "there is no d/c-key.pem"},
                                              {"d/d-key.pem", "there is no d/d-cert.pem"}};
  EXPECT(material.rejected == rejected);
}

TEST_CASE("a folder is read to its depth, without what begins with a dot") {
  Folder folder;
  folder.write("b.pem", any_pair().both());
  folder.write("x/y/a.pem", any_pair().both());
  folder.write(".hidden/c.pem", any_pair().both());
  folder.write(".d.pem", any_pair().both());
  folder.write("x/e.txt", "no");
  PosixDisk disk;
  const CertStoreSpec spec{.name = "s", .type = CertStoreType::kPath, .cert = folder.path("")};
  const Result<CertMaterial> read = read_cert_files(spec, disk);
  REQUIRE(read);
  REQUIRE(read->pairs.size() == 2);
  EXPECT_EQ(read->pairs[0].name, folder.path("b.pem"));
  EXPECT_EQ(read->pairs[1].name, folder.path("x/y/a.pem"));
  EXPECT_EQ(read_cert_files(spec, disk, {.files = 1}).error().code, Code::kLimit);
  EXPECT_EQ(read_cert_files(spec, disk, {.depth = 1}).error().code, Code::kLimit);
}

TEST_CASE("of what turns bad the last good stays, of what is gone nothing does") {
  const CertStoreSpec spec{.name = "s", .cert = "x", .client_ca = "ca"};
  const CertMaterial::Pair good{"a", any_pair().certificate, any_pair().key};
  const CertMaterial first{{good, {"b", "", ""}}, {}, any_authority().pem()};
  const CertStock stock = make_stock(spec, first, {});
  EXPECT(stock.usable(spec));
  EXPECT_EQ(stock.certificates.size(), 1u);
  EXPECT(stock.rejected == std::vector<RejectedCert>{{"b", "no certificate in it"}});
  const CertStock bad = make_stock(spec, {{{"a", "nothing", ""}}, {}, "nothing"}, stock);
  EXPECT(bad.certificates == stock.certificates);
  EXPECT(bad.clients == stock.clients);
  EXPECT_EQ(bad.rejected.size(), 2u);
  const CertStock unread =
      make_stock(spec, {{}, {{"a", "cannot be read"}}, first.client_ca}, stock);
  EXPECT(unread.certificates == stock.certificates);
  EXPECT(make_stock(spec, {{}, {}, first.client_ca}, stock).certificates.empty());
  EXPECT(!make_stock(spec, {{good}, {}, ""}, {}).usable(spec));
}

}  // namespace sluice::proxy::test
