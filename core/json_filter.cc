#include "core/json_filter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "core/ascii.h"
#include "core/regex.h"

namespace sluice {

struct JsonFilter::Node {
  enum class Kind : uint8_t { kAnd, kOr, kNot, kEqual, kContains, kMatches, kEmpty };
  Kind kind;
  std::shared_ptr<const Node> left, right;
  std::vector<std::string> selector;
  std::string value;
  bool negative = false;  // != and its like: within a list it is said of each item
};

namespace {

using Node = JsonFilter::Node;
using Kind = Node::Kind;
using NodePtr = std::shared_ptr<const Node>;

struct Token {
  enum class Kind : uint8_t { kWord, kString, kSymbol, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;
  size_t at = 0;
};

bool is_word_byte(char c) {
  return ascii::is_alphanumeric(c) || c == '_' || c == '-' || c == '/' || c == ':';
}

Result<std::vector<Token>> tokenize(std::string_view text) {
  std::vector<Token> tokens;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++i;
      continue;
    }
    Token token{.at = i};
    if (c == '"' || c == '`') {
      token.kind = Token::Kind::kString;
      for (++i; i < text.size() && text[i] != c; ++i) {
        if (c == '"' && text[i] == '\\' && i + 1 < text.size()) ++i;
        token.text += text[i];
      }
      if (i == text.size()) {
        return fail(Code::kInvalid, "filter: the string at {} does not end", token.at);
      }
      ++i;
    } else if (is_word_byte(c)) {
      token.kind = Token::Kind::kWord;
      while (i < text.size() && is_word_byte(text[i])) token.text += text[i++];
    } else {
      token.kind = Token::Kind::kSymbol;
      token.text = c;
      ++i;
      if ((c == '=' || c == '!') && i < text.size() && text[i] == '=') token.text += text[i++];
    }
    tokens.push_back(std::move(token));
  }
  tokens.push_back({.kind = Token::Kind::kEnd, .at = text.size()});
  return tokens;
}

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<NodePtr> parse() {
    Result<NodePtr> root = any_of(0);
    if (root && now().kind != Token::Kind::kEnd) return wrong("and, or, or the end");
    return root;
  }

 private:
  const Token& now() const { return tokens_[at_]; }
  bool take(Token::Kind kind, std::string_view text) {
    if (now().kind != kind || now().text != text) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view text) { return take(Token::Kind::kWord, text); }
  bool take_symbol(std::string_view text) { return take(Token::Kind::kSymbol, text); }
  std::unexpected<Error> wrong(std::string_view wanted) const {
    return fail(Code::kInvalid, "filter: at {}: expected {}, not {}", now().at, wanted,
                now().kind == Token::Kind::kEnd ? "the end" : "\"" + now().text + "\"");
  }
  static NodePtr make(Kind kind, NodePtr left, NodePtr right = nullptr) {
    return std::make_shared<Node>(Node{kind, std::move(left), std::move(right), {}, {}, false});
  }

  Result<NodePtr> any_of(int depth) {
    if (depth > kMaxFilterDepth) return fail(Code::kLimit, "filter: nested too deeply");
    Result<NodePtr> left = all_of(depth);
    while (left && take_word("or")) {
      Result<NodePtr> right = all_of(depth);
      if (!right) return right;
      left = make(Kind::kOr, std::move(*left), std::move(*right));
    }
    return left;
  }
  Result<NodePtr> all_of(int depth) {
    Result<NodePtr> left = one(depth);
    while (left && take_word("and")) {
      Result<NodePtr> right = one(depth);
      if (!right) return right;
      left = make(Kind::kAnd, std::move(*left), std::move(*right));
    }
    return left;
  }
  Result<NodePtr> one(int depth) {
    if (take_word("not")) {
      if (depth > kMaxFilterDepth) return fail(Code::kLimit, "filter: nested too deeply");
      Result<NodePtr> inner = one(depth + 1);
      if (!inner) return inner;
      return make(Kind::kNot, std::move(*inner));
    }
    if (take_symbol("(")) {
      Result<NodePtr> inner = any_of(depth + 1);
      if (inner && !take_symbol(")")) return wrong("\")\"");
      return inner;
    }
    return comparison();
  }

  bool value_comes_first() const {
    const Token& next = tokens_[at_ + 1];
    if (now().kind == Token::Kind::kEnd || next.kind != Token::Kind::kWord) return false;
    return next.text == "in" ||
           (next.text == "not" && at_ + 2 < tokens_.size() && tokens_[at_ + 2].text == "in");
  }

  Result<NodePtr> comparison() {
    Node node{};
    if (value_comes_first()) {
      node.kind = Kind::kContains;
      node.value = now().text;
      ++at_;
      node.negative = take_word("not");
      take_word("in");
      Result<void> read = selector(node.selector);
      if (!read) return pass(read);
    } else {
      Result<void> read = selector(node.selector);
      if (!read) return pass(read);
      read = operation(node);
      if (!read) return pass(read);
    }
    return std::make_shared<Node>(std::move(node));
  }

  Result<void> operation(Node& node) {
    if (take_word("is")) {
      node.negative = take_word("not");
      if (!take_word("empty")) return wrong("\"empty\"");
      node.kind = Kind::kEmpty;
      return {};
    }
    if (take_symbol("==")) {
      node.kind = Kind::kEqual;
    } else if (take_symbol("!=")) {
      node.kind = Kind::kEqual;
      node.negative = true;
    } else {
      node.negative = take_word("not");
      if (take_word("contains")) {
        node.kind = Kind::kContains;
      } else if (take_word("matches")) {
        node.kind = Kind::kMatches;
      } else {
        return wrong("an operator: ==, !=, contains, matches, in, is empty");
      }
    }
    if (now().kind != Token::Kind::kWord && now().kind != Token::Kind::kString) {
      return wrong("a value");
    }
    node.value = now().text;
    ++at_;
    if (node.kind == Kind::kMatches) {
      Result<bool> tried = regex_matches(node.value, "");
      if (!tried) return pass(tried, "filter");
    }
    return {};
  }

  Result<void> selector(std::vector<std::string>& path) {
    // A quoted selector is a JSON pointer: "/Meta/a~1b".
    if (now().kind == Token::Kind::kString && now().text.starts_with('/')) {
      std::string_view rest = now().text;
      while (!rest.empty()) {
        rest.remove_prefix(1);
        const size_t slash = rest.find('/');
        path.emplace_back(rest.substr(0, slash));
        rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
      }
      ++at_;
      return {};
    }
    if (now().kind != Token::Kind::kWord) return wrong("a field's name");
    path.push_back(now().text);
    ++at_;
    while (true) {
      if (take_symbol(".")) {
        if (now().kind != Token::Kind::kWord) return wrong("a field's name");
        path.push_back(now().text);
        ++at_;
      } else if (take_symbol("[")) {
        if (now().kind != Token::Kind::kString) return wrong("a quoted key");
        path.push_back(now().text);
        ++at_;
        if (!take_symbol("]")) return wrong("\"]\"");
      } else {
        return {};
      }
    }
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
};

std::string text_of(const Json& value) {
  return value.is_string() ? value.as_string() : to_json(value);
}

bool is_empty(const Json& value) {
  if (value.is_null()) return true;
  return value.is_string() ? value.as_string().empty()
                           : (value.is_array() || value.is_object()) && value.size() == 0;
}

/// What the operator says of the value that the selector has led to.
bool leaf_holds(const Node& node, const Json& value) {
  switch (node.kind) {
    case Kind::kEqual: return text_of(value) == node.value;
    case Kind::kContains:
      if (value.is_object()) return value.find(node.value) != nullptr;
      if (!value.is_array()) return text_of(value).find(node.value) != std::string::npos;
      return std::ranges::any_of(value.as_array(),
                                 [&](const Json& item) { return text_of(item) == node.value; });
    case Kind::kMatches: return regex_matches(node.value, text_of(value)).value_or(false);
    case Kind::kEmpty: return is_empty(value);
    case Kind::kAnd:
    case Kind::kOr:
    case Kind::kNot: break;
  }
  std::unreachable();
}

bool selected_holds(const Node& node, const Json& value, size_t depth) {
  if (depth == node.selector.size()) return leaf_holds(node, value) != node.negative;
  if (value.is_array()) {
    return std::ranges::any_of(value.as_array(),
                               [&](const Json& item) { return selected_holds(node, item, depth); });
  }
  const Json* member = value.find(node.selector[depth]);
  // What is not there equals nothing, and is empty.
  if (member == nullptr) return (node.kind == Kind::kEmpty) != node.negative;
  return selected_holds(node, *member, depth + 1);
}

bool holds(const Node& node, const Json& value) {
  switch (node.kind) {
    case Kind::kAnd: return holds(*node.left, value) && holds(*node.right, value);
    case Kind::kOr: return holds(*node.left, value) || holds(*node.right, value);
    case Kind::kNot: return !holds(*node.left, value);
    case Kind::kEqual:
    case Kind::kContains:
    case Kind::kMatches:
    case Kind::kEmpty: return selected_holds(node, value, 0);
  }
  std::unreachable();
}

bool fits(const Json& sample, const std::string& text) {
  if (sample.is_bool()) return text == "true" || text == "false";
  return !sample.is_number() ||
         (!text.empty() && text.find_first_not_of("0123456789-.") == std::string::npos);
}

Result<void> check_selector(const Node& node, const Json& sample,
                            std::span<const std::string_view> open) {
  const Json* at = &sample;
  for (const std::string& key : node.selector) {
    if (at->is_array() && at->size() > 0) at = &at->as_array().front();
    at = at->find(key);
    if (at == nullptr) {
      return fail(Code::kInvalid, "Selector \"{}\" is not valid",
                  fmt::format("{}", fmt::join(node.selector, ".")));
    }
    if (std::ranges::find(open, key) != open.end()) return {};
  }
  if (node.kind == Kind::kEqual && !fits(*at, node.value)) {
    return fail(Code::kInvalid, "Failed to coerce value \"{}\" for selector \"{}\"", node.value,
                fmt::format("{}", fmt::join(node.selector, ".")));
  }
  return {};
}

Result<void> check_node(const Node& node, const Json& sample,
                        std::span<const std::string_view> open) {
  switch (node.kind) {
    case Kind::kAnd:
    case Kind::kOr: {
      Result<void> left = check_node(*node.left, sample, open);
      return left ? check_node(*node.right, sample, open) : left;
    }
    case Kind::kNot: return check_node(*node.left, sample, open);
    case Kind::kEqual:
    case Kind::kContains:
    case Kind::kMatches:
    case Kind::kEmpty: return check_selector(node, sample, open);
  }
  std::unreachable();
}

}  // namespace

Result<JsonFilter> JsonFilter::parse(std::string_view text) {
  if (text.size() > kMaxFilterBytes) {
    return fail(Code::kLimit, "filter: longer than {} bytes", kMaxFilterBytes);
  }
  Result<std::vector<Token>> tokens = tokenize(text);
  if (!tokens) return pass(tokens);
  Result<NodePtr> root = Parser(std::move(*tokens)).parse();
  if (!root) return pass(root);
  JsonFilter filter;
  filter.root_ = std::move(*root);
  return filter;
}

bool JsonFilter::matches(const Json& value) const {
  return holds(*root_, value);
}

Result<void> JsonFilter::check_against(const Json& sample,
                                       std::span<const std::string_view> open) const {
  return check_node(*root_, sample, open);
}

}  // namespace sluice
