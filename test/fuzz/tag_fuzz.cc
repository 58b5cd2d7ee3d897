// Tags, route sources and destinations: each is a route, none, or refused with a reason.
#include "proxy/route_edit.h"
#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

using namespace proxy;

void run(std::string_view input) {
  TagContext context;
  context.service = "shop";
  context.address = "127.0.0.1";
  context.port = 4711;
  context.datacenter = "dc1";
  for (const std::string& tag : {std::string(input), "urlprefix-" + std::string(input)}) {
    Result<std::optional<RouteSpec>> spec = parse_tag(tag, context);
    if (!spec) CHECK(!spec.error().message.empty());
  }
  (void)parse_source(input);
  Result<Destination> destination = parse_destination(input);
  if (destination) {
    Result<Destination> again = parse_destination(to_string(*destination));
    CHECK(again.has_value() && *again == *destination);
  }
}

}  // namespace sluice::fuzz
