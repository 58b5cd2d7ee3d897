#include "orchestrator/api/filter.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "orchestrator/constraint.h"

namespace sluice::orchestrator::api {

struct Filter::Node {
  enum class Kind : uint8_t { kAnd, kOr, kNot, kEqual, kContains, kMatches, kEmpty };
  Kind kind;
  std::shared_ptr<const Node> left, right;
  std::vector<std::string> selector;
  std::string value;
};

namespace {

using Node = Filter::Node;
using Kind = Node::Kind;
using NodePtr = std::shared_ptr<const Node>;

struct Token {
  enum class Kind : uint8_t { kWord, kString, kSymbol, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;
  size_t at = 0;
};

bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '/' || c == ':';
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
    return std::make_shared<Node>(Node{kind, std::move(left), std::move(right), {}, {}});
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
    bool negative = false;
    if (value_comes_first()) {
      node.kind = Kind::kContains;
      node.value = now().text;
      ++at_;
      negative = take_word("not");
      take_word("in");
      Result<void> read = selector(node.selector);
      if (!read) return pass(read);
    } else {
      Result<void> read = selector(node.selector);
      if (!read) return pass(read);
      read = operation(node, negative);
      if (!read) return pass(read);
    }
    NodePtr made = std::make_shared<Node>(std::move(node));
    return negative ? make(Kind::kNot, std::move(made)) : made;
  }

  Result<void> operation(Node& node, bool& negative) {
    if (take_word("is")) {
      negative = take_word("not");
      if (!take_word("empty")) return wrong("\"empty\"");
      node.kind = Kind::kEmpty;
      return {};
    }
    if (take_symbol("==")) {
      node.kind = Kind::kEqual;
    } else if (take_symbol("!=")) {
      node.kind = Kind::kEqual;
      negative = true;
    } else {
      negative = take_word("not");
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

const Json* find(const Json& value, const std::vector<std::string>& selector) {
  const Json* at = &value;
  for (const std::string& key : selector) {
    at = at->find(key);
    if (!at) return nullptr;
  }
  return at;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.as_string() : to_json(value);
}

bool holds(const Node& node, const Json& value) {
  switch (node.kind) {
    case Kind::kAnd: return holds(*node.left, value) && holds(*node.right, value);
    case Kind::kOr: return holds(*node.left, value) || holds(*node.right, value);
    case Kind::kNot: return !holds(*node.left, value);
    case Kind::kEqual: {
      const Json* found = find(value, node.selector);
      return found && text_of(*found) == node.value;
    }
    case Kind::kContains: {
      const Json* found = find(value, node.selector);
      if (!found) return false;
      if (found->is_object()) return found->find(node.value) != nullptr;
      if (!found->is_array()) return text_of(*found).find(node.value) != std::string::npos;
      for (const Json& item : found->as_array()) {
        if (text_of(item) == node.value) return true;
      }
      return false;
    }
    case Kind::kMatches: {
      const Json* found = find(value, node.selector);
      return found && operator_holds("regexp", text_of(*found), node.value);
    }
    case Kind::kEmpty: {
      const Json* found = find(value, node.selector);
      if (!found || found->is_null()) return true;
      return found->is_string() ? found->as_string().empty()
                                : (found->is_array() || found->is_object()) && found->size() == 0;
    }
  }
  return false;
}

}  // namespace

Result<Filter> Filter::parse(std::string_view text) {
  if (text.size() > kMaxFilterBytes) {
    return fail(Code::kLimit, "filter: longer than {} bytes", kMaxFilterBytes);
  }
  Result<std::vector<Token>> tokens = tokenize(text);
  if (!tokens) return pass(tokens);
  Result<NodePtr> root = Parser(std::move(*tokens)).parse();
  if (!root) return pass(root);
  Filter filter;
  filter.root_ = std::move(*root);
  return filter;
}

bool Filter::matches(const Json& value) const {
  return holds(*root_, value);
}

}  // namespace sluice::orchestrator::api
