// Route commands: every line is a command, nothing, or left out with a reason; what is listed reads
// back.
#include "proxy/route_command.h"

#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

using namespace proxy;

void run(std::string_view input) {
  const RouteCommands commands = parse_commands(input);
  for (const RejectedRoute& each : commands.rejected) CHECK(!each.reason.empty());
  for (const RouteAdd& add : commands.adds) {
    const RouteCommands again = parse_commands(format_command(add.spec));
    CHECK(again.rejected.empty() && again.adds.size() == 1);
    const RouteSpec& spec = again.adds[0].spec;
    CHECK(spec.service == add.spec.service && spec.host == add.spec.host);
    CHECK(spec.path == add.spec.path && spec.tags == add.spec.tags);
    CHECK(spec.destination == add.spec.destination);
  }
}

}  // namespace sluice::fuzz
