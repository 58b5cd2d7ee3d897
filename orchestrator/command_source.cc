#include "orchestrator/command_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/http_client.h"
#include "core/resolve.h"
#include "core/scope.h"

namespace sluice::orchestrator {

namespace {

constexpr size_t kAnswerBytes = size_t{64} << 20;

/// A word of a command: nothing that would end it or the line.
bool is_word(std::string_view text) {
  return !text.empty() && std::ranges::none_of(text, [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == 0x7f;
  });
}

bool is_quotable(std::string_view text) {
  return std::ranges::none_of(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '"' || c == 0x7f; });
}

Result<std::string> custom_command(const Json& item) {
  const std::string_view command = item.get_string("cmd");
  const std::string_view service = item.get_string("service");
  const std::string_view source = item.get_string("src");
  const std::string_view destination = item.get_string("dst");
  if (command != "route add" && command != "route del" && command != "route weight") {
    return fail(Code::kInvalid, "cmd is none of route add, route del, route weight");
  }
  std::string line(command);
  for (const std::string_view word : {service, source, destination}) {
    if (word.empty()) continue;
    if (!is_word(word)) return fail(Code::kInvalid, "service, src or dst holds a blank or a quote");
    if (command == "route weight" && word == destination) continue;
    line += fmt::format(" {}", word);
  }
  if (command == "route add" && (service.empty() || source.empty() || destination.empty())) {
    return fail(Code::kInvalid, "route add wants service, src and dst");
  }
  const double weight = item.get_double("weight");
  if (command != "route del" && (weight > 0 || command == "route weight")) {
    line += fmt::format(" weight {}", weight);
  }
  std::string tags;
  if (const Json* list = item.find("tags"); list != nullptr && list->is_array()) {
    for (const Json& tag : list->as_array()) {
      if (!tag.is_string()) return fail(Code::kInvalid, "tags are not all text");
      tags += (tags.empty() ? "" : ",") + tag.as_string();
    }
  }
  std::string opts;
  if (const Json* map = item.find("opts"); map != nullptr && map->is_object()) {
    for (const JsonMember& member : map->as_object()) {
      if (!member.value.is_string()) return fail(Code::kInvalid, "opts are not all text");
      opts += fmt::format("{}{}={}", opts.empty() ? "" : " ", member.key, member.value.as_string());
    }
  }
  if (!is_quotable(tags) || !is_quotable(opts)) {
    return fail(Code::kInvalid, "tags or opts hold a quote or a control character");
  }
  if (!tags.empty()) line += fmt::format(" tags \"{}\"", tags);
  if (!opts.empty() && command == "route add") line += fmt::format(" opts \"{}\"", opts);
  return line;
}

}  // namespace

proxy::RouteEdit command_edit(std::string key, std::string commands, uint8_t layer) {
  proxy::RouteEdit edit{.key = std::move(key), .routes = {}, .rejected = {}};
  edit.commands = std::move(commands);
  edit.layer = layer;
  return edit;
}

void WatchedFile::take(Result<std::string> text) {
  if (!text) {
    if (std::exchange(said_, text.error().message) != said_) {
      log_.warn("{}; what it said before stays", said_);
    }
    return;
  }
  said_.clear();
  if (last_ && *last_ == *text) return;
  last_ = *std::move(text);
  on_change_(*last_);
}

Result<void> WatchedFile::read() {
  Result<std::string> text = env_.disk.read_file(path_, kLimitBytes);
  if (!text) return pass(text);
  take(std::move(text));
  return {};
}

Task<void> WatchedFile::run() {
  while (true) {
    co_await sleep_for(env_.executor, kLookMs);
    take(co_await on_pool(env_.executor, [&disk = env_.disk, path = path_] {
      return disk.read_file(path, kLimitBytes);
    }));
  }
}

Result<std::string> custom_commands(const Json& routes) {
  if (!routes.is_array()) return fail(Code::kInvalid, "the answer is no JSON array");
  std::string text;
  for (size_t i = 0; i < routes.size(); ++i) {
    Result<std::string> line = custom_command(routes.as_array()[i]);
    // Refused by the parser, with the reason in the line.
    text += line ? *line : fmt::format("item {}: {}", i, line.error().message);
    text += '\n';
  }
  return text;
}

Task<Result<std::string>> CustomRegistry::fetch() {
  Result<Address> address = co_await resolve(env_.executor, options_.host);
  if (!address) co_return pass(address);
  HttpClient client(env_.executor, env_.network, *address,
                    {.host = options_.host,
                     .response_timeout_ms = options_.timeout_ms,
                     .body_limit_bytes = kAnswerBytes,
                     .kept_connections = 0});
  HttpRequest request;
  request.target = options_.target;
  Result<HttpResponse> response = co_await client.send(std::move(request));
  if (!response) co_return pass(response);
  if (response->status != 200) co_return fail(Code::kInvalid, "it answered {}", response->status);
  co_return co_await on_pool(env_.executor,
                             [body = std::move(response->body)]() -> Result<std::string> {
                               Result<Json> json = parse_json(body, {.max_bytes = kAnswerBytes});
                               if (!json) return pass(json);
                               return custom_commands(*json);
                             });
}

Task<void> CustomRegistry::run() {
  std::optional<std::string> last;
  std::string said;
  while (true) {
    Result<std::string> commands =
        co_await with_timeout(env_.executor, options_.timeout_ms, fetch());
    if (!commands) {
      if (std::exchange(said, commands.error().message) != said) {
        log_.warn("registry {}: {}; the routes stay as they are, trying again", options_.host,
                  said);
      }
    } else {
      if (!std::exchange(said, "").empty()) log_.info("registry {}: answers again", options_.host);
      if (!last || *last != *commands) {
        last = *std::move(commands);
        sink_.apply({command_edit("custom", *last, kRegistryLayer)});
      }
    }
    co_await sleep_for(env_.executor, options_.poll_ms);
  }
}

}  // namespace sluice::orchestrator
