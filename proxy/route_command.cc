#include "proxy/route_command.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace sluice::proxy {

namespace {

constexpr std::string_view kSpaces = " \t\r\v\f";

struct Token {
  std::string_view text;
  bool quoted = false;
};

/// Words and "quoted strings", which hold no quote.
Result<std::vector<Token>> split(std::string_view line) {
  std::vector<Token> out;
  for (;;) {
    const size_t begin = line.find_first_not_of(kSpaces);
    if (begin == std::string_view::npos) return out;
    line.remove_prefix(begin);
    if (line.front() == '"') {
      const size_t end = line.find('"', 1);
      if (end == std::string_view::npos) return fail(Code::kInvalid, "a quote is not closed");
      out.push_back({line.substr(1, end - 1), true});
      line.remove_prefix(end + 1);
    } else {
      const size_t end = std::min(line.find_first_of(kSpaces), line.size());
      out.push_back({line.substr(0, end), false});
      line.remove_prefix(end);
    }
  }
}

/// Goes through the tokens of one command.
class Reader {
 public:
  explicit Reader(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  [[nodiscard]] bool done() const { return at_ == tokens_.size(); }
  [[nodiscard]] bool next_is(std::string_view word) const {
    return !done() && !tokens_[at_].quoted && tokens_[at_].text == word;
  }
  bool take(std::string_view word) {
    if (!next_is(word)) return false;
    ++at_;
    return true;
  }
  Result<std::string_view> word(const char* what) {
    if (done() || tokens_[at_].quoted) return fail(Code::kInvalid, "expected {}", what);
    return tokens_[at_++].text;
  }
  Result<std::string_view> quoted(const char* what) {
    if (done() || !tokens_[at_].quoted) return fail(Code::kInvalid, "expected {} in quotes", what);
    return tokens_[at_++].text;
  }
  Result<void> end() const {
    if (!done()) return fail(Code::kInvalid, "unexpected {:?}", tokens_[at_].text);
    return {};
  }
  [[nodiscard]] std::string_view peek(size_t ahead) const {
    return at_ + ahead < tokens_.size() ? tokens_[at_ + ahead].text : std::string_view();
  }

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

std::vector<std::string> split_tags(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view tag = text.substr(0, comma);
    const size_t begin = tag.find_first_not_of(kSpaces);
    if (begin != std::string_view::npos) {
      out.emplace_back(tag.substr(begin, tag.find_last_not_of(kSpaces) - begin + 1));
    }
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return out;
}

Result<double> read_weight(Reader& reader) {
  auto word = reader.word("a weight such as 0.2");
  if (!word) return pass(word);
  double weight = 0;
  const auto [end, error] = std::from_chars(word->data(), word->data() + word->size(), weight);
  if (error != std::errc() || end != word->data() + word->size() || !std::isfinite(weight) ||
      weight > kMaxWeight) {
    return fail(Code::kInvalid, "{:?} is not a weight such as 0.2", *word);
  }
  return std::max(weight, 0.0);
}

Result<std::vector<std::string>> read_tags(Reader& reader) {
  auto text = reader.quoted("tags");
  if (!text) return pass(text);
  return split_tags(*text);
}

bool is_web(Scheme scheme) {
  return scheme == Scheme::kHttp || scheme == Scheme::kHttps;
}

Result<RouteSpec> read_add(Reader& reader) {
  RouteSpec spec;
  auto service = reader.word("a service");
  if (!service) return pass(service);
  auto source = reader.word("a source such as mysite.com/ or :3306");
  if (!source) return pass(source);
  auto host_path = parse_source(*source);
  if (!host_path) return pass(host_path);
  auto destination = reader.word("a destination such as http://10.0.0.1:5000/");
  if (!destination) return pass(destination);
  std::optional<double> weight;
  std::string_view opts;
  while (!reader.done()) {
    if (reader.take("weight")) {
      auto read = read_weight(reader);
      if (!read) return pass(read);
      weight = *read;
    } else if (reader.take("tags")) {
      auto tags = read_tags(reader);
      if (!tags) return pass(tags);
      spec.tags = std::move(*tags);
    } else if (reader.take("opts")) {
      auto text = reader.quoted("options");
      if (!text) return pass(text);
      opts = *text;
    } else {
      return fail(Code::kInvalid, "expected weight, tags or opts, not {:?}", reader.peek(0));
    }
  }
  spec.service = *service;
  spec.host = std::move(host_path->host);
  spec.path = std::move(host_path->path);
  auto parsed = parse_destination(*destination);
  if (parsed) spec.destination = *parsed;
  // Of http and https the destination says which, as with fabio; proto= alone says what else it is.
  const Scheme written = spec.destination.scheme;
  auto options = parse_options(opts, spec.destination.scheme);
  if (!options) return pass(options);
  if (is_web(written) && is_web(spec.destination.scheme)) spec.destination.scheme = written;
  spec.options = std::move(*options);
  if (weight) spec.options.weight = *weight;
  if (spec.options.redirect_code == 0) {
    if (!parsed) return pass(parsed);
    return spec;
  }
  if (spec.options.redirect_url.empty()) spec.options.redirect_url = *destination;
  const std::string& url = spec.options.redirect_url;
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    return fail(Code::kInvalid, "a redirect's URL begins with http:// or https://");
  }
  spec.destination = {};
  return spec;
}

Result<RouteRule> read_delete(Reader& reader) {
  RouteRule rule{.kind = RouteRule::Kind::kDelete};
  if (!(reader.next_is("tags") && !reader.peek(1).empty())) {
    auto service = reader.word("a service or tags");
    if (!service) return pass(service);
    rule.service = *service;
  }
  if (reader.next_is("tags")) {
    reader.take("tags");
    auto tags = read_tags(reader);
    if (!tags) return pass(tags);
    if (tags->empty()) return fail(Code::kInvalid, "tags are empty");
    rule.tags = std::move(*tags);
  } else if (!reader.done()) {
    auto source = reader.word("a source");
    if (!source) return pass(source);
    auto host_path = parse_source(*source);
    if (!host_path) return pass(host_path);
    rule.source = std::move(*host_path);
    if (!reader.done()) {
      auto destination = reader.word("a destination");
      if (!destination) return pass(destination);
      auto parsed = parse_destination(*destination);
      rule.destination = parsed ? to_string(*parsed) : std::string(*destination);
    }
  }
  auto end = reader.end();
  if (!end) return pass(end);
  return rule;
}

Result<RouteRule> read_rule_weight(Reader& reader) {
  RouteRule rule{.kind = RouteRule::Kind::kWeight};
  auto first = reader.word("a service or a source");
  if (!first) return pass(first);
  std::string_view source = *first;
  const bool service_given = !reader.next_is("weight");
  if (service_given) {
    rule.service = *first;
    auto second = reader.word("a source");
    if (!second) return pass(second);
    source = *second;
  }
  auto host_path = parse_source(source);
  if (!host_path) return pass(host_path);
  rule.source = std::move(*host_path);
  if (!reader.take("weight")) return fail(Code::kInvalid, "expected weight");
  auto weight = read_weight(reader);
  if (!weight) return pass(weight);
  rule.weight = *weight;
  if (reader.take("tags")) {
    auto tags = read_tags(reader);
    if (!tags) return pass(tags);
    rule.tags = std::move(*tags);
  } else if (!service_given) {
    return fail(Code::kInvalid, "a weight without a service needs tags");
  }
  auto end = reader.end();
  if (!end) return pass(end);
  return rule;
}

Result<void> read_line(std::string_view line, uint32_t number, RouteCommands& out) {
  auto tokens = split(line);
  if (!tokens) return pass(tokens);
  Reader reader(std::move(*tokens));
  if (!reader.take("route")) return fail(Code::kInvalid, "expected route");
  if (reader.take("add")) {
    auto spec = read_add(reader);
    if (!spec) return pass(spec);
    out.adds.push_back({number, std::move(*spec)});
    return {};
  }
  const bool is_delete = reader.take("del");
  if (!is_delete && !reader.take("weight")) {
    return fail(Code::kInvalid, "expected add, del or weight after route");
  }
  auto rule = is_delete ? read_delete(reader) : read_rule_weight(reader);
  if (!rule) return pass(rule);
  rule->line = number;
  out.rules.push_back(std::move(*rule));
  return {};
}

}  // namespace

RouteCommands parse_commands(std::string_view text, const CommandLimits& limits) {
  RouteCommands out;
  if (text.size() > limits.text_bytes) {
    out.rejected.push_back(
        {"", "", fmt::format("the commands are longer than {} bytes", limits.text_bytes)});
    return out;
  }
  uint32_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    const size_t begin = line.find_first_not_of(kSpaces);
    if (begin == std::string_view::npos) continue;
    line = line.substr(begin, line.find_last_not_of(kSpaces) - begin + 1);
    if (line.starts_with('#') || line.starts_with("//")) continue;
    if (number > limits.lines) {
      out.rejected.push_back({"", "", fmt::format("more than {} lines", limits.lines)});
      return out;
    }
    auto done = line.size() > limits.line_bytes
                    ? fail(Code::kLimit, "longer than {} bytes", limits.line_bytes)
                    : read_line(line, number, out);
    if (!done) {
      out.rejected.push_back({"", std::string(line.substr(0, 256)),
                              fmt::format("line {}: {}", number, done.error().message)});
    }
  }
  return out;
}

std::string format_command(const RouteSpec& spec) {
  const bool redirect = spec.options.redirect_code != 0;
  std::string out = fmt::format("route add {} {}{} {}", spec.service, spec.host, spec.path,
                                redirect ? spec.options.redirect_url : to_string(spec.destination));
  if (spec.options.weight > 0) out += fmt::format(" weight {:.4f}", spec.options.weight);
  if (!spec.tags.empty()) {
    out += " tags \"";
    for (size_t i = 0; i < spec.tags.size(); ++i) {
      if (i > 0) out += ',';
      out += spec.tags[i];
    }
    out += '"';
  }
  if (!spec.options.text.empty()) out += fmt::format(" opts \"{}\"", spec.options.text);
  return out;
}

}  // namespace sluice::proxy
