#include <fmt/format.h>

#include <map>
#include <set>

#include "core/loop.h"
#include "core/scope.h"
#include "core/uv_network.h"
#include "drivers/embedded/dns_answer.h"
#include "drivers/embedded/dns_message.h"
#include "drivers/embedded/dns_server.h"
#include "test/test.h"

namespace sluice::drivers {

using orchestrator::CheckState;
using orchestrator::CheckStatus;
using orchestrator::ServiceCheck;
using orchestrator::ServiceRegistration;

namespace {

using namespace std::string_literals;

std::string two(size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string wire_name(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    out += static_cast<char>(label.size());
    out += label;
    name = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
  }
  return out + '\0';
}

/// A query with RD, and with an OPT of that size where it is not 0.
std::string query(std::string_view name, uint16_t type, uint16_t edns = 0, uint16_t klass = 1) {
  std::string out = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00"s + (edns ? '\1' : '\0');
  out += wire_name(name) + two(type) + two(klass);
  if (edns != 0) out += "\0\0\x29"s + two(edns) + "\0\0\0\0\0\0"s;
  return out;
}

std::string text(const DnsData& data) {
  struct Show {
    std::string operator()(const DnsA& a) const {
      return fmt::format("{}.{}.{}.{}", a[0], a[1], a[2], a[3]);
    }
    std::string operator()(const DnsAaaa& a) const { return fmt::format("..:{:x}", a[15]); }
    std::string operator()(const DnsNs& ns) const { return "NS " + ns.target; }
    std::string operator()(const DnsCname& cname) const { return "CNAME " + cname.target; }
    std::string operator()(const DnsPtr& ptr) const { return "PTR " + ptr.target; }
    std::string operator()(const DnsTxt& txt) const { return "TXT " + txt.text; }
    std::string operator()(const DnsSrv& srv) const {
      return fmt::format("{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target);
    }
    std::string operator()(const DnsSoa& soa) const { return fmt::format("SOA {}", soa.serial); }
  };
  return std::visit(Show{}, data);
}

std::string text(const std::vector<DnsRecord>& records) {
  std::multiset<std::string> all;
  for (const DnsRecord& record : records) all.insert(record.name + " " + text(record.data));
  std::string out;
  for (const std::string& one : all) out += one + "\n";
  return out;
}

struct World {
  UvLoop loop;
  CatalogTable table{loop};
  ReadNode node{.id = "n", .name = "Node-A", .address = "10.0.0.1"};
  SeededRandom random{1};

  void add(const std::string& id, const std::string& name, const std::string& address,
           uint16_t port, CheckStatus status = CheckStatus::kPassing,
           std::vector<std::string> tags = {}) {
    table.put({.id = id,
               .name = name,
               .tags = std::move(tags),
               .address = address,
               .port = port,
               .checks = {ServiceCheck{.id = "c"}}},
              {CheckState{.check_id = "c", .status = status}});
  }
  DnsReply ask(std::string_view name, DnsType type, uint16_t klass = 1) {
    const auto request = parse_dns_request(query(name, static_cast<uint16_t>(type), 0, klass));
    REQUIRE(request);
    return answer_dns(*request, {.table = table, .node = node, .serial = 7}, random);
  }
};

const char* const kSoa = "consul SOA 7\n";

struct Sections {
  size_t answers, authority, extra;
  bool truncated;
};
Sections sections(const std::string& reply) {
  const auto at = [&](size_t i) {
    return static_cast<size_t>(static_cast<unsigned char>(reply[i]) << 8 |
                               static_cast<unsigned char>(reply[i + 1]));
  };
  return {at(6), at(8), at(10), (reply[2] & 2) != 0};
}

/// A reply is a well-formed message: what parses requests takes it once it claims to be one.
bool well_formed(std::string reply) {
  reply[2] = static_cast<char>(reply[2] & 0x7f);
  const auto parsed = parse_dns_request(reply.substr(0, kDnsRequestBytes));
  return parsed && parsed->fault == DnsCode::kNoError;
}

}  // namespace

TEST_CASE("dns requests: a question with and without EDNS, and what is no question") {
  const auto plain = parse_dns_request(query("Web.service.consul", 33));
  REQUIRE(plain);
  EXPECT_EQ(plain->id, 0x1234);
  EXPECT_EQ(plain->name, "Web.service.consul");
  EXPECT_EQ(plain->type, 33);
  EXPECT(plain->recursion_desired);
  EXPECT(!plain->edns);
  EXPECT_EQ(plain->udp_bytes, 512u);
  for (const auto& [offered, taken] :
       {std::pair{100, 512u}, {512, 512u}, {1232, 1232u}, {65'535, 4096u}}) {
    EXPECT_EQ(parse_dns_request(query("a", 1, static_cast<uint16_t>(offered)))->udp_bytes, taken);
  }
  EXPECT_EQ(parse_dns_request(query("", 2))->name, "");
  EXPECT(!parse_dns_request("short"));
  EXPECT(!parse_dns_request(std::string(kDnsRequestBytes + 1, '\0')));
  std::string reply = query("a", 1);
  reply[2] = static_cast<char>(0x81);
  EXPECT(!parse_dns_request(reply));  // or two servers would answer each other for ever

  const auto fault = [](std::string packet) { return parse_dns_request(packet)->fault; };
  std::string notify = query("a", 1);
  notify[2] = 0x21;
  EXPECT_EQ(fault(notify), DnsCode::kNotImp);
  std::string none = query("a", 1).substr(0, 12);
  EXPECT_EQ(fault(none), DnsCode::kFormErr);
  std::string cut = query("abc", 1);
  EXPECT_EQ(fault(cut.substr(0, cut.size() - 1)), DnsCode::kFormErr);
  EXPECT_EQ(fault(cut + "x"), DnsCode::kFormErr);
  std::string loop = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"s;
  EXPECT_EQ(fault(loop), DnsCode::kFormErr);
  std::string newer = query("a", 1, 1232);
  newer[newer.size() - 5] = 1;
  EXPECT_EQ(fault(newer), DnsCode::kBadVers);
  std::string twice = query("a", 1, 1232);
  twice += twice.substr(twice.size() - 11);
  twice[11] = 2;
  EXPECT_EQ(fault(twice), DnsCode::kFormErr);
  const auto with_options = [](const std::string& options) {
    std::string packet = query("a", 1, 1232);
    packet.back() = static_cast<char>(options.size());
    return packet + options;
  };
  // A client's subnet and a cookie (RFC 7871, 7873) are passed over; what does not end is no
  // option.
  EXPECT_EQ(fault(with_options("\x00\x08\x00\x02\x00\x01\x00\x0a\x00\x00"s)), DnsCode::kNoError);
  for (const std::string& bad :
       {"\x00"s, "\x00\x0a\x00"s, "\x00\x0a\x00\x01"s, "\x00\x0a\x00\x00\x00\x0a\x00\x09x"s}) {
    EXPECT_EQ(fault(with_options(bad)), DnsCode::kFormErr);
  }
}

TEST_CASE("dns replies: the bytes of one") {
  const auto request = parse_dns_request(query("w.consul", 33, 1232));
  DnsReply reply{.code = DnsCode::kNoError, .authoritative = true};
  reply.answers.push_back({"w.consul", DnsSrv{.port = 80, .target = "t.consul"}});
  reply.extra.push_back({"t.consul", DnsA{127, 0, 0, 1}});
  EXPECT_EQ(write_dns_reply(*request, reply, 1232),
            "\x12\x34\x85\x00\x00\x01\x00\x01\x00\x00\x00\x02"
            "\x01w\x06"
            "consul\x00\x00\x21\x00\x01"
            // The owner is a pointer; the target is written out (RFC 2782).
            "\xc0\x0c\x00\x21\x00\x01\x00\x00\x00\x00\x00\x10\x00\x01\x00\x01\x00\x50\x01t\x06"
            "consul\x00"
            "\x01t\xc0\x0e\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x7f\x00\x00\x01"
            "\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00"s);
}

TEST_CASE("dns replies: what does not fit is cut off, and said; extra goes first, in silence") {
  const auto request = parse_dns_request(query("w.service.consul", 33, 1232));
  DnsReply reply;
  for (uint16_t i = 0; i < 40; ++i) {
    const std::string target = fmt::format("{:08x}.addr.dc1.consul", i);
    reply.answers.push_back({"w.service.consul", DnsSrv{.port = i, .target = target}});
    reply.extra.push_back({target, DnsA{127, 0, 0, static_cast<uint8_t>(i)}});
  }
  for (const size_t limit : {size_t{512}, size_t{1232}, size_t{4096}, kDnsTcpBytes}) {
    CAPTURE(limit);
    const std::string bytes = write_dns_reply(*request, reply, limit);
    const Sections got = sections(bytes);
    EXPECT(bytes.size() <= limit);
    EXPECT(well_formed(bytes));
    EXPECT_EQ(got.truncated, limit < 4096);
    EXPECT(got.answers > 0);
    if (got.truncated) EXPECT_EQ(got.extra, 1u);  // the OPT
    if (!got.truncated) EXPECT_EQ(got.answers, 40u);
  }
  EXPECT_EQ(sections(write_dns_reply(*request, reply, 4096)).extra, 41u);
  // All of the answers, not all of the rest.
  reply.answers.resize(8);
  const Sections some = sections(write_dns_reply(*request, reply, 512));
  EXPECT_EQ(some.answers, 8u);
  EXPECT(!some.truncated);
  EXPECT(some.extra < 40u);

  DnsReply text_reply;
  text_reply.answers.push_back({"w.service.consul", DnsTxt{std::string(600, 't')}});
  EXPECT(well_formed(write_dns_reply(*request, text_reply, kDnsTcpBytes)));
  // What is no name is left out, and nothing is broken by it.
  DnsReply odd;
  odd.answers.push_back({"w", DnsCname{std::string(64, 'x') + ".consul"}});
  odd.answers.push_back({"w", DnsA{1, 2, 3, 4}});
  const std::string without = write_dns_reply(*request, odd, 512);
  EXPECT_EQ(sections(without).answers, 1u);
  EXPECT(well_formed(without));
}

TEST_CASE("dns answers: whose an address is: the node's, or the first service's there") {
  World world;
  world.add("1", "Web", "10.9.8.7", 8001, CheckStatus::kCritical);
  world.add("2", "cart", "10.9.8.7", 8002);
  world.add("3", "six", "fd00::7", 8003);
  world.add("4", "own", "10.0.0.1", 8004);
  const std::string six = "7.0.0.0." + std::string("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.") +
                          "0.0.0.0.0.d.f.ip6.arpa";
  const std::pair<std::string, const char*> known[] = {
      {"1.0.0.10.in-addr.arpa", "PTR Node-A.node.dc1.consul"},
      {"7.8.9.10.IN-addr.arpa", "PTR Web.service.dc1.consul"},
      {six, "PTR six.service.dc1.consul"}};
  for (const auto& [name, answer] : known) {
    CAPTURE(name);
    for (const DnsType type : {DnsType::kPtr, DnsType::kA, DnsType::kAny}) {
      const DnsReply reply = world.ask(name, type);
      EXPECT(reply.authoritative);
      EXPECT_EQ(text(reply.answers), fmt::format("{} {}\n", name, answer));
      EXPECT_EQ(text(reply.authority), "");
    }
    EXPECT_EQ(text(world.ask(name, DnsType::kSoa).authority), kSoa);
  }
  for (const char* name :
       {"9.8.9.10.in-addr.arpa", "8.9.10.in-addr.arpa", "x.8.9.10.in-addr.arpa", "arpa",
        "1.0.0.10.ip6.arpa", "in-addr.arpa", "1.1.0.0.10.in-addr.arpa"}) {
    CAPTURE(name);
    const DnsReply reply = world.ask(name, DnsType::kPtr);
    EXPECT(reply.code == DnsCode::kServFail);
    EXPECT(!reply.authoritative);
    EXPECT(reply.answers.empty());
  }
  EXPECT(world.ask("1.0.0.10.in-addr.carpa", DnsType::kPtr).code == DnsCode::kRefused);
}

TEST_CASE("dns answers: a service by name, tag, RFC 2782 and datacenter") {
  World world;
  world.add("1", "web", "127.0.0.1", 8001, CheckStatus::kPassing, {"a", "Blue", "v1.2"});
  world.add("2", "Web", "127.0.0.2", 8002, CheckStatus::kWarning, {"b"});
  world.add("3", "web", "127.0.0.3", 8003, CheckStatus::kCritical, {"a"});
  world.add("4", "web", "127.0.0.2", 8004, CheckStatus::kPassing, {"b"});
  const char* all_a = "web.service.consul 127.0.0.1\nweb.service.consul 127.0.0.2\n";
  EXPECT_EQ(text(world.ask("web.service.consul", DnsType::kA).answers), all_a);
  EXPECT_EQ(text(world.ask("web.service.consul", DnsType::kAny).answers), all_a);
  EXPECT_EQ(text(world.ask("web.service.consul", DnsType::kTxt).answers), all_a);
  EXPECT_EQ(text(world.ask("WEB.Service.DC1.consul", DnsType::kA).answers),
            "WEB.Service.DC1.consul 127.0.0.1\nWEB.Service.DC1.consul 127.0.0.2\n");
  for (const char* name : {"a.web.service.consul", "blue.web.service.dc1.consul",
                           "v1.2.web.service.consul", "_web._a.service.consul"}) {
    CAPTURE(name);
    EXPECT_EQ(text(world.ask(name, DnsType::kA).answers), fmt::format("{} 127.0.0.1\n", name));
  }
  const DnsReply srv = world.ask("web.service.consul", DnsType::kSrv);
  EXPECT_EQ(text(srv.answers),
            "web.service.consul 1 1 8001 7f000001.addr.dc1.consul\n"
            "web.service.consul 1 1 8002 7f000002.addr.dc1.consul\n"
            "web.service.consul 1 1 8004 7f000002.addr.dc1.consul\n");
  EXPECT_EQ(text(srv.extra),
            "7f000001.addr.dc1.consul 127.0.0.1\n7f000002.addr.dc1.consul 127.0.0.2\n"
            "Node-A.node.dc1.consul TXT consul-network-segment=\n");
  EXPECT(srv.authoritative);
  for (const char* name : {"_web._b.service.consul", "_web._b.dc1.consul", "_web._b.consul"}) {
    CAPTURE(name);
    EXPECT_EQ(world.ask(name, DnsType::kSrv).answers.size(), 2u);
  }
  EXPECT_EQ(world.ask("_web._tcp.consul", DnsType::kSrv).answers.size(), 3u);
  EXPECT_EQ(world.ask("_web._tcp.consul", DnsType::kA).code, DnsCode::kNxDomain);
}

TEST_CASE("dns answers: an instance's weight is the one of how it is") {
  World world;
  for (const CheckStatus status : {CheckStatus::kPassing, CheckStatus::kWarning}) {
    const bool passing = status == CheckStatus::kPassing;
    world.table.put({.id = passing ? "1" : "2",
                     .name = "web",
                     .address = "127.0.0.1",
                     .port = static_cast<uint16_t>(passing ? 81 : 82),
                     .weights = {.passing = 7, .warning = 3},
                     .checks = {ServiceCheck{.id = "c"}}},
                    {CheckState{.check_id = "c", .status = status}});
  }
  EXPECT_EQ(text(world.ask("web.service.consul", DnsType::kSrv).answers),
            "web.service.consul 1 3 82 7f000001.addr.dc1.consul\n"
            "web.service.consul 1 7 81 7f000001.addr.dc1.consul\n");
}

TEST_CASE("dns answers: IPv6, a host's name, the node's own address") {
  World world;
  world.add("1", "six", "::1", 81);
  world.add("2", "named", "db.internal", 82);
  world.add("3", "bare", "", 83);
  EXPECT_EQ(text(world.ask("six.service.consul", DnsType::kAaaa).answers),
            "six.service.consul ..:1\n");
  EXPECT_EQ(text(world.ask("six.service.consul", DnsType::kSrv).answers),
            "six.service.consul 1 1 81 00000000000000000000000000000001.addr.dc1.consul\n");
  const DnsReply wrong_family = world.ask("six.service.consul", DnsType::kA);
  EXPECT_EQ(wrong_family.code, DnsCode::kNoError);
  EXPECT(wrong_family.answers.empty());
  EXPECT_EQ(text(wrong_family.authority), kSoa);
  EXPECT_EQ(text(world.ask("named.service.consul", DnsType::kA).answers),
            "named.service.consul CNAME db.internal\n");
  EXPECT_EQ(text(world.ask("named.service.consul", DnsType::kSrv).answers),
            "named.service.consul 1 1 82 db.internal\n");
  EXPECT_EQ(text(world.ask("bare.service.consul", DnsType::kSrv).answers),
            "bare.service.consul 1 1 83 Node-A.node.dc1.consul\n");
  EXPECT_EQ(text(world.ask("bare.service.consul", DnsType::kA).answers),
            "bare.service.consul 10.0.0.1\n");
  // What people ask first, to see whether it works.
  EXPECT_EQ(text(world.ask("consul.service.consul", DnsType::kA).answers),
            "consul.service.consul 10.0.0.1\n");
}

TEST_CASE("dns answers: nodes, addresses, the zone itself") {
  World world;
  const char* text_record = "node-a.node.consul TXT consul-network-segment=\n";
  EXPECT_EQ(text(world.ask("node-a.node.consul", DnsType::kA).answers),
            "node-a.node.consul 10.0.0.1\n");
  EXPECT_EQ(text(world.ask("node-a.node.consul", DnsType::kA).extra), text_record);
  EXPECT_EQ(text(world.ask("node-a.node.consul", DnsType::kTxt).answers), text_record);
  EXPECT_EQ(world.ask("node-a.node.dc1.consul", DnsType::kAny).answers.size(), 2u);
  EXPECT_EQ(text(world.ask("node-a.node.consul", DnsType::kAaaa).authority), kSoa);
  EXPECT_EQ(world.ask("node-a.node.consul", DnsType::kSrv).answers.size(), 0u);
  EXPECT_EQ(text(world.ask("7F000001.addr.dc1.consul", DnsType::kA).answers),
            "7F000001.addr.dc1.consul 127.0.0.1\n");
  EXPECT_EQ(world.ask("7f000001.addr.consul", DnsType::kAaaa).extra.size(), 1u);
  EXPECT_EQ(text(world.ask("000000000000000000000000000000ff.addr.consul", DnsType::kAny).answers),
            "000000000000000000000000000000ff.addr.consul ..:ff\n");
  EXPECT_EQ(text(world.ask("consul", DnsType::kSoa).answers), kSoa);
  EXPECT_EQ(text(world.ask("consul", DnsType::kSoa).authority),
            "consul NS Node-A.node.dc1.consul\n");
  EXPECT_EQ(text(world.ask("consul", DnsType::kNs).answers), "consul NS Node-A.node.dc1.consul\n");
  EXPECT_EQ(text(world.ask("consul", DnsType::kNs).extra), "Node-A.node.dc1.consul 10.0.0.1\n");
}

TEST_CASE("dns answers: what is not there, and what is not ours") {
  World world;
  world.add("1", "web", "127.0.0.1", 80);
  world.add("2", "sick", "127.0.0.1", 81, CheckStatus::kCritical);
  for (const char* name :
       {"nope.service.consul", "sick.service.consul", "no.web.service.consul",
        "web.service.dc2.consul", "web.service.a.b.consul", "service.consul", "consul",
        "web.consul", "other.node.consul", "x.y.addr.consul", "7f00000.addr.consul",
        "7f00000g.addr.consul", "7f0000010.addr.consul", "web.connect.consul", "web.query.consul",
        "web.virtual.consul", "web.ingress.consul"}) {
    CAPTURE(name);
    const DnsReply reply = world.ask(name, DnsType::kA);
    EXPECT_EQ(reply.code, DnsCode::kNxDomain);
    EXPECT_EQ(text(reply.authority), kSoa);
    EXPECT(reply.authoritative);
    EXPECT(reply.answers.empty());
  }
  for (const char* name : {"example.com", "", "notconsul", "web.service.consul.example"}) {
    CAPTURE(name);
    const DnsReply reply = world.ask(name, DnsType::kA);
    EXPECT_EQ(reply.code, DnsCode::kRefused);
    EXPECT(!reply.authoritative);
    EXPECT(reply.authority.empty());
  }
  EXPECT_EQ(world.ask("web.service.consul", DnsType::kA, 3).code, DnsCode::kRefused);
  EXPECT_EQ(world.ask("consul", DnsType::kAxfr).code, DnsCode::kNotImp);
}

TEST_CASE("dns answers: every instance comes first now and then") {
  World world;
  for (int i = 0; i < 4; ++i) {
    world.add(std::to_string(i), "web", fmt::format("127.0.0.{}", i + 1), 80);
  }
  std::map<std::string, int> firsts;
  for (int i = 0; i < 400; ++i) {
    ++firsts[text(world.ask("web.service.consul", DnsType::kA).answers.front().data)];
  }
  EXPECT_EQ(firsts.size(), 4u);
  for (const auto& [address, count] : firsts) EXPECT(count > 50);
}

TEST_CASE("dns server: TCP takes requests in pieces and several at once, and ends what is none") {
  World world;
  UvNetwork network(world.loop);
  PosixDisk disk;
  const Env env{world.loop, network, disk, world.random};
  std::unique_ptr<Listener> listener = *network.listen(Address{.ip = "127.0.0.1"});
  const Address at = listener->local();
  world.add("1", "web", "127.0.0.1", 80);
  DnsServer server(env, *network.open_datagrams(at), std::move(listener), world.table, world.node,
                   {.connections = 2, .idle_timeout_ms = 200});
  const auto ask = [](World& of, UvNetwork& on, Address to) -> Task<void> {
    const std::string one = query("web.service.consul", 1);
    const std::string framed = two(one.size()) + one;
    char back[4096];
    for (size_t piece = 1; piece <= framed.size(); piece += 7) {
      std::unique_ptr<Stream> stream = *co_await on.connect(to, 1000);
      for (size_t i = 0; i < framed.size(); i += piece) {
        EXPECT((co_await stream->write(framed.substr(i, piece))).has_value());
        co_await sleep_for(of.loop, 0);
      }
      EXPECT_EQ(*co_await stream->read(back), 2 + one.size() + 16);
    }
    std::unique_ptr<Stream> stream = *co_await on.connect(to, 1000);
    EXPECT((co_await stream->write(framed + framed + framed)).has_value());
    for (size_t got = 0; got < 3 * (2 + one.size() + 16);) got += *co_await stream->read(back);
    // Longer than any request, too short for one, and nothing at all.
    for (const std::string& wrong : {two(5000), two(3) + "abc", std::string()}) {
      std::unique_ptr<Stream> other = *co_await on.connect(to, 1000);
      if (!wrong.empty()) EXPECT((co_await other->write(wrong)).has_value());
      EXPECT_EQ((co_await other->read(back)).value_or(0), 0u);
    }
    of.loop.stop();
  };
  Scope scope(world.loop);
  scope.spawn(server.run_tcp());
  scope.spawn(server.run_udp());
  scope.spawn(ask(world, network, at));
  world.loop.run();
}

}  // namespace sluice::drivers
