// The verbs on routes: they ask the balancer's own API (-ui.addr), of an agent or of a balancer
// alone.
#include <fmt/format.h>

#include "core/http_client.h"
#include "orchestrator/cli/command.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr std::string_view kDefaultUi = "http://127.0.0.1:9998";

constexpr FlagSpec kListFlags[] = {
    {"ui-address", Kind::kValue,
     "the balancer's page: http://127.0.0.1:9998, or SLUICE_UI_ADDR of the environment"},
    {"json", Kind::kBool, "print the API's JSON"},
};
constexpr FlagSpec kExplainFlags[] = {
    {"ui-address", Kind::kValue,
     "the balancer's page: http://127.0.0.1:9998, or SLUICE_UI_ADDR of the environment"},
    {"H", Kind::kValue, "a header of the request, 'Name: value'; may be repeated"},
    {"X", Kind::kValue, "its method (GET)"},
    {"client", Kind::kValue, "the client's IP address (127.0.0.1)"},
    {"json", Kind::kBool, "print the API's JSON"},
};

Task<Result<Json>> ask(Session& session, std::string path, Query query) {
  const std::string from_environment = session.env().environment("SLUICE_UI_ADDR");
  const std::string url = session.flags().value_or(
      "ui-address", from_environment.empty() ? kDefaultUi : std::string_view(from_environment));
  if (url.starts_with("https://")) {
    co_return fail(Code::kUnsupported,
                   "address {}: the balancer's page (-ui.addr) speaks http only", url);
  }
  Result<Address> address = parse_api_address(url);
  if (!address) co_return pass(address);
  HttpClient client(session.env().executor, session.network(), *address);
  HttpRequest request;
  request.target = std::move(path);
  char glue = '?';
  for (const auto& [name, value] : query) {
    request.target += fmt::format("{}{}={}", glue, name, percent_encode(value));
    glue = '&';
  }
  Result<HttpResponse> response = co_await client.send(std::move(request));
  if (!response) {
    co_return fail(response.error().code, "no balancer answers at {} ({})", url,
                   response.error().message);
  }
  if (response->status != 200) {
    co_return fail(Code::kInvalid, "{}", response->body.substr(0, response->body.find('\n')));
  }
  Result<Json> body = parse_json(response->body);
  if (!body) co_return pass(body, "the balancer's answer is not JSON");
  co_return body;
}

std::string percent(const Json& weight) {
  return fmt::format("{:.2f}%", (weight.is_number() ? weight.as_double() : 0) * 100);
}

/// Where it leads; of a host name, which address is meant.
std::string destination_text(const Json& at, std::string_view destination) {
  const std::string_view address = at.get_string("address");
  if (address.empty()) return std::string(destination);
  return fmt::format("{} ({})", destination, address);
}

Task<int> route_list(Session& session) {
  Result<Json> routes = co_await ask(session, "/api/routes", {});
  if (!routes) co_return session.error("listing routes", routes.error());
  if (session.flags().is_on("json")) {
    session.print(to_json(*routes, 4));
    co_return 0;
  }
  std::vector<Row> rows = {{"Service", "Source", "Destination", "Options", "Weight", "Healthy"}};
  for (const Json& route : items(*routes)) {
    rows.push_back({std::string(route.get_string("service")), std::string(route.get_string("src")),
                    destination_text(route, route.get_string("dst")),
                    std::string(route.get_string("opts")), percent(at(route, "weight")),
                    route.get_bool("healthy", true) ? "yes" : "no"});
  }
  session.print(rows.size() == 1 ? "No routes" : columns(rows, "-"));
  co_return 0;
}

std::string verdict_text(const Json& candidate) {
  const std::string_view reason = candidate.get_string("reason");
  return fmt::format("{}{}{}", candidate.get_string("verdict"), reason.empty() ? "" : ": ", reason);
}

bool is_asleep(const Json& said) {
  for (const Json& candidate : items(at(said, "candidates"))) {
    for (const Json& target : items(at(candidate, "targets"))) {
      if (target.get_string("state") == "asleep") return true;
    }
  }
  return false;
}

std::string answer_text(const Json& said) {
  const int64_t status = said.get_int("status");
  const std::string_view location = said.get_string("location");
  if (!location.empty()) return fmt::format("{}, to {}", status, location);
  if (said.get_bool("no_route")) return fmt::format("{}: no route", status);
  if (status == 403) return "403: the client's address is not admitted";
  if (status == 503 && is_asleep(said)) {
    return "a request waits for an instance, which it starts; a connection of proto=tcp starts one "
           "and is closed";
  }
  if (status == 503) return "503: the route has no instance that could answer";
  if (status != 0) return fmt::format("{}", status);
  std::string text = fmt::format("to service {} on {}", said.get_string("service"),
                                 destination_text(said, said.get_string("endpoint")));
  if (said.find("sent_path") != nullptr) {
    text += fmt::format(", as {} with Host: {}", said.get_string("sent_path"),
                        said.get_string("sent_host"));
  }
  return text;
}

std::string format_explanation(const Json& said) {
  std::string out;
  if (const std::string_view matched = said.get_string("matched"); !matched.empty()) {
    out += fmt::format("Matched as  {}\n", matched);
  }
  if (said.find("hosts") != nullptr) {
    std::vector<std::string> hosts = strings_of(said.find("hosts"));
    for (std::string& host : hosts) {
      if (host.empty()) host = "(any)";
    }
    out += fmt::format("Hosts       {}\n", hosts.empty() ? "none matches" : join(hosts, ", "));
  }
  std::vector<Row> rows;
  for (const Json& candidate : items(at(said, "candidates"))) {
    rows.push_back({std::string(candidate.get_string("src")),
                    std::string(candidate.get_string("matcher")), "", verdict_text(candidate)});
    for (const Json& target : items(at(candidate, "targets"))) {
      rows.push_back({fmt::format("  {}", target.get_string("service")),
                      destination_text(target, target.get_string("dst")),
                      percent(at(target, "weight")), std::string(target.get_string("state"))});
    }
  }
  if (!rows.empty()) out += "\n" + columns(rows, "") + "\n";
  return out + fmt::format("\nAnswer      {}", answer_text(said));
}

Task<int> route_explain(Session& session) {
  const Flags& flags = session.flags();
  Query query = {{"url", flags.words()[0]}};
  for (const std::string& header : flags.all("H")) query.emplace_back("header", header);
  if (flags.has("X")) query.emplace_back("method", flags.value_or("X", ""));
  if (flags.has("client")) query.emplace_back("client", flags.value_or("client", ""));
  Result<Json> said = co_await ask(session, "/api/explain", std::move(query));
  if (!said) co_return session.error("explaining", said.error());
  session.print(flags.is_on("json") ? to_json(*said, 4) : format_explanation(*said));
  co_return 0;
}

constexpr Command kCommands[] = {
    {.name = "route list",
     .usage = "[options]",
     .summary = "List the balancer's routes",
     .help = "",
     .flags = kListFlags,
     .run = route_list},
    {.name = "route explain",
     .usage = "[options] <url>",
     .summary = "Say where a request would go, and why",
     .help = "  The URL is http:// or https:// as the client would ask for it, tcp://:PORT for a\n"
             "  connection to a tcp listener, tls://NAME for one to a tcp+sni listener.",
     .flags = kExplainFlags,
     .run = route_explain,
     .min_words = 1,
     .max_words = 1},
};

}  // namespace

std::span<const Command> route_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
