// What arrives at the catalog's DNS port: parsed, answered, written; the reply is a message, fits,
// and belongs to its request.
#include "core/loop.h"
#include "drivers/embedded/dns_answer.h"
#include "drivers/embedded/dns_message.h"
#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

namespace {

using namespace drivers;

struct World {
  UvLoop loop;
  CatalogTable table{loop};
  ReadNode node{.id = "n", .name = "node-a", .address = "127.0.0.1"};
  SeededRandom random{1};

  World() {
    for (uint16_t i = 0; i < 50; ++i) {
      const std::string id = std::to_string(i);
      const std::string address = i % 3 == 0 ? "::1" : i % 3 == 1 ? "127.0.0." + id : "db.internal";
      table.put({.id = id, .name = "web", .tags = {"a", id}, .address = address, .port = i}, {});
    }
  }
};

}  // namespace

void run(std::string_view input) {
  static World& world = *new World;
  const std::string packet = unhex(input);
  const std::optional<DnsRequest> request = parse_dns_request(packet);
  if (!request) return;
  const DnsZone zone{.table = world.table, .node = world.node};
  const DnsReply reply = answer_dns(*request, zone, world.random);
  for (const size_t limit : {request->udp_bytes, kDnsTcpBytes}) {
    std::string bytes = write_dns_reply(*request, reply, limit);
    CHECK(bytes.size() >= 12 && bytes.size() <= limit);
    CHECK(std::string_view(bytes).substr(0, 2) == std::string_view(packet).substr(0, 2));
    CHECK((bytes[2] & 0x80) != 0);
    if (bytes.size() > kDnsRequestBytes || !request->has_question) continue;
    // As a request it is a message with the same question.
    bytes[2] = static_cast<char>(bytes[2] & 0x7f);
    const std::optional<DnsRequest> again = parse_dns_request(bytes);
    CHECK(again && again->fault == DnsCode::kNoError && again->name == request->name);
    CHECK(again->type == request->type && again->edns == request->edns);
  }
}

}  // namespace sluice::fuzz
