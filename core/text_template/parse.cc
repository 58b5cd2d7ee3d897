#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/text_template/lexer.h"
#include "core/text_template/tree.h"

namespace sluice::text_template {

namespace {

/// What stands between two delimiters, or the text between two actions.
struct Piece {
  bool is_action = false;
  size_t line = 1;
  std::string_view text;
};

class Parser {
 public:
  Parser(Tree& tree, std::string_view text, const Functions& functions)
      : tree_(tree), text_(text), functions_(functions) {}

  Result<void> run() {
    Result<void> cut = split();
    if (!cut) return cut;
    std::string end;
    Result<void> parsed = block(tree_.body, end);
    if (!parsed) return parsed;
    if (!end.empty()) return wrong("unexpected {}{}{}", "{{", end, "}}");
    return {};
  }

 private:
  template <class... Args>
  std::unexpected<Error> wrong(fmt::format_string<Args...> text, Args&&... args) const {
    return fail(Code::kInvalid, "{}:{}: {}", tree_.name, line_,
                fmt::format(text, std::forward<Args>(args)...));
  }

  Result<void> split() {
    const std::string& left = tree_.options.left;
    const std::string& right = tree_.options.right;
    std::string_view rest = text_;
    size_t line = 1;
    bool trim = false;
    const auto lines = [](std::string_view in) {
      return static_cast<size_t>(std::count(in.begin(), in.end(), '\n'));
    };
    while (true) {
      const size_t open = rest.find(left);
      std::string_view plain = rest.substr(0, open);
      const size_t plain_line = line;
      line += lines(plain);
      if (trim) {
        while (!plain.empty() && space_byte(plain.front())) plain.remove_prefix(1);
      }
      if (open == std::string_view::npos) {
        if (!plain.empty()) pieces_.push_back({false, plain_line, plain});
        return {};
      }
      rest.remove_prefix(open + left.size());
      if (rest.size() > 1 && rest[0] == '-' && space_byte(rest[1])) {
        while (!plain.empty() && space_byte(plain.back())) plain.remove_suffix(1);
        rest.remove_prefix(1);
      }
      if (!plain.empty()) pieces_.push_back({false, plain_line, plain});
      line_ = line;
      const size_t close = action_end(rest);
      if (close == std::string_view::npos) return wrong("an action without its {}", right);
      std::string_view action = rest.substr(0, close);
      rest.remove_prefix(close + right.size());
      trim = action.size() > 1 && action.back() == '-' && space_byte(action[action.size() - 2]);
      if (trim) action.remove_suffix(1);
      pieces_.push_back({true, line, action});
      line += lines(action);
    }
  }

  /// Where the action ends: the right delimiter outside of strings and comments.
  size_t action_end(std::string_view rest) const {
    const std::string& right = tree_.options.right;
    size_t at = 0;
    while (at < rest.size() && space_byte(rest[at])) ++at;
    if (rest.substr(at).starts_with("/*")) {
      const size_t end = rest.find("*/", at + 2);
      return end == std::string_view::npos ? end : rest.find(right, end + 2);
    }
    for (at = 0; at < rest.size(); ++at) {
      if (rest.substr(at).starts_with(right)) return at;
      const char quote = rest[at];
      if (quote != '"' && quote != '`' && quote != '\'') continue;
      for (++at; at < rest.size() && rest[at] != quote; ++at) {
        if (quote != '`' && rest[at] == '\\') ++at;
      }
    }
    return std::string_view::npos;
  }

  /// Up to an action that ends the block: "end" or "else", in `end`; "" is the end of the text.
  Result<void> block(std::vector<Node>& into, std::string& end) {
    if (++depth_ > tree_.options.limits.depth) return wrong("blocks are nested too deeply");
    while (next_ < pieces_.size()) {
      const Piece piece = pieces_[next_++];
      line_ = piece.line;
      if (!piece.is_action) {
        into.push_back({.kind = Node::Kind::kText, .line = line_, .text = std::string(piece.text)});
        continue;
      }
      std::string_view inside = piece.text;
      while (!inside.empty() && space_byte(inside.front())) inside.remove_prefix(1);
      if (inside.starts_with("/*")) continue;
      Result<std::vector<Token>> tokens = tokens_of(inside);
      if (!tokens) return wrong("{}", tokens.error().message);
      if (tokens->empty()) return wrong("an empty action");
      tokens_ = *std::move(tokens);
      at_ = 0;
      Result<bool> goes_on = action(into, end);
      if (!goes_on) return pass(goes_on);
      if (!*goes_on) {
        --depth_;
        return {};
      }
    }
    end.clear();
    --depth_;
    return {};
  }

  [[nodiscard]] bool is_word(std::string_view word) const {
    return at_ < tokens_.size() && tokens_[at_].kind == Token::Kind::kWord &&
           tokens_[at_].text == word;
  }
  [[nodiscard]] bool is(Token::Kind kind, size_t ahead = 0) const {
    return at_ + ahead < tokens_.size() && tokens_[at_ + ahead].kind == kind;
  }

  Result<bool> action(std::vector<Node>& into, std::string& end) {
    for (const std::string_view word : {"end", "else"}) {
      if (!is_word(word)) continue;
      end = word;
      ++at_;
      return false;
    }
    Node node{.line = line_};
    if (is_word("if") || is_word("range") || is_word("with")) {
      const std::string word = tokens_[at_++].text;
      node.kind = word == "if"      ? Node::Kind::kIf
                  : word == "range" ? Node::Kind::kRange
                                    : Node::Kind::kWith;
      Result<void> done = control(node, word);
      if (!done) return pass(done);
    } else if (is_word("define") || is_word("block")) {
      const bool calls = tokens_[at_++].text == "block";
      Result<void> done = define(node, calls);
      if (!done) return pass(done);
      if (!calls) return true;
    } else if (is_word("template")) {
      ++at_;
      node.kind = Node::Kind::kTemplate;
      if (!is(Token::Kind::kLiteral) || !tokens_[at_].literal.is_string()) {
        return wrong("template: the name is missing");
      }
      node.text = tokens_[at_++].literal.as_string();
      if (at_ < tokens_.size()) {
        Result<void> done = pipeline(node.pipe, false);
        if (!done) return pass(done);
      }
    } else if (is_word("break") || is_word("continue")) {
      node.kind = is_word("break") ? Node::Kind::kBreak : Node::Kind::kContinue;
      if (ranges_ == 0) return wrong("{} outside of a range", tokens_[at_].text);
      ++at_;
    } else {
      node.kind = Node::Kind::kAction;
      Result<void> done = pipeline(node.pipe, false);
      if (!done) return pass(done);
    }
    into.push_back(std::move(node));
    return true;
  }

  Result<void> control(Node& node, const std::string& word) {
    const bool is_range = node.kind == Node::Kind::kRange;
    Result<void> done = pipeline(node.pipe, is_range);
    if (!done) return done;
    std::string end;
    ranges_ += is_range ? 1 : 0;
    done = block(node.body, end);
    ranges_ -= is_range ? 1 : 0;
    if (!done) return done;
    if (end == "else" && at_ < tokens_.size()) {
      // {{else if x}}: an `if` that ends where this one does.
      if (!is_word(word) || is_range) return wrong("unexpected words behind else");
      ++at_;
      Node inner{.kind = node.kind, .line = line_};
      done = control(inner, word);
      if (!done) return done;
      node.otherwise.push_back(std::move(inner));
      return {};
    }
    if (end == "else") {
      done = block(node.otherwise, end);
      if (!done) return done;
    }
    if (end != "end") {
      line_ = node.line;
      return wrong("{} without its end", word);
    }
    return {};
  }

  Result<void> define(Node& node, bool calls) {
    if (!is(Token::Kind::kLiteral) || !tokens_[at_].literal.is_string()) {
      return wrong("{}: the name is missing", calls ? "block" : "define");
    }
    node.kind = Node::Kind::kTemplate;
    node.text = tokens_[at_++].literal.as_string();
    if (calls) {
      Result<void> done = pipeline(node.pipe, false);
      if (!done) return done;
    }
    const size_t line = line_;
    std::vector<Node> body;
    std::string end;
    const size_t ranges = std::exchange(ranges_, 0);
    Result<void> done = block(body, end);
    ranges_ = ranges;
    if (!done) return done;
    if (end != "end") {
      line_ = line;
      return wrong("{} \"{}\" without its end", calls ? "block" : "define", node.text);
    }
    tree_.defined[node.text] = std::move(body);
    return {};
  }

  /// To the end of the action, or to the parenthesis that closes it.
  Result<void> pipeline(Pipe& pipe, bool of_range) {
    if (++parentheses_ > tree_.options.limits.depth)
      return wrong("parentheses are nested too deeply");
    if (is(Token::Kind::kVariable)) {
      const bool two = is(Token::Kind::kComma, 1) && is(Token::Kind::kVariable, 2);
      const size_t sign = two ? 3 : 1;
      if (is(Token::Kind::kDeclare, sign) || is(Token::Kind::kAssign, sign)) {
        if (two && !of_range) return wrong("two variables are set only by range");
        pipe.declares = is(Token::Kind::kDeclare, sign);
        pipe.variables.push_back(tokens_[at_].text);
        if (two) pipe.variables.push_back(tokens_[at_ + 2].text);
        at_ += sign + 1;
      }
    }
    while (true) {
      Command command;
      Result<void> done = this->command(command);
      if (!done) return done;
      if (!pipe.commands.empty() && command.operands.front().kind != Operand::Kind::kFunction) {
        return wrong("a pipeline goes on with a function");
      }
      pipe.commands.push_back(std::move(command));
      if (!is(Token::Kind::kPipe)) break;
      ++at_;
    }
    --parentheses_;
    if (at_ < tokens_.size() && !is(Token::Kind::kClose)) return wrong("unexpected words");
    if (is(Token::Kind::kClose) && open_ == 0) return wrong("unexpected \")\"");
    return {};
  }

  Result<void> command(Command& command) {
    using Kind = Token::Kind;
    while (at_ < tokens_.size() && !is(Kind::kPipe) && !is(Kind::kClose)) {
      Operand operand;
      const Token& token = tokens_[at_];
      switch (token.kind) {
        case Kind::kLiteral:
          operand.literal = token.literal;
          ++at_;
          break;
        case Kind::kDot:
        case Kind::kField:
          operand.kind = Operand::Kind::kDot;
          if (token.kind == Kind::kField) operand.fields.push_back(token.text);
          ++at_;
          break;
        case Kind::kVariable:
          operand.kind = Operand::Kind::kVariable;
          operand.name = token.text;
          ++at_;
          break;
        case Kind::kWord: {
          Result<void> done = word(operand, token.text);
          if (!done) return done;
          ++at_;
          break;
        }
        case Kind::kOpen: {
          ++at_;
          ++open_;
          operand.kind = Operand::Kind::kPipe;
          auto inner = std::make_shared<Pipe>();
          Result<void> done = pipeline(*inner, false);
          if (!done) return done;
          if (!is(Kind::kClose)) return wrong("\"(\" without its \")\"");
          ++at_;
          --open_;
          operand.pipe = std::move(inner);
          break;
        }
        case Kind::kEnd:
        case Kind::kPipe:
        case Kind::kClose:
        case Kind::kComma:
        case Kind::kDeclare:
        case Kind::kAssign: return wrong("unexpected sign in a command");
      }
      while (is(Kind::kField) && !tokens_[at_].spaced) {
        operand.fields.push_back(tokens_[at_++].text);
      }
      command.operands.push_back(std::move(operand));
    }
    if (command.operands.empty()) return wrong("a command is missing");
    const Operand& first = command.operands.front();
    if (command.operands.size() > 1 && first.kind != Operand::Kind::kFunction) {
      return wrong("what is no function takes no arguments");
    }
    return {};
  }

  Result<void> word(Operand& operand, const std::string& text) {
    if (text == "true" || text == "false") {
      operand.literal = Json(text == "true");
    } else if (text == "nil") {
      operand.literal = Json();
    } else {
      if (!functions_.contains(text) && !builtin_functions().contains(text)) {
        return wrong("function \"{}\" not defined", text);
      }
      operand.kind = Operand::Kind::kFunction;
      operand.name = text;
    }
    return {};
  }

  Tree& tree_;
  std::string_view text_;
  const Functions& functions_;
  std::vector<Piece> pieces_;
  size_t next_ = 0;  // of pieces_
  std::vector<Token> tokens_;
  size_t at_ = 0;  // of tokens_
  size_t line_ = 1;
  size_t depth_ = 0, parentheses_ = 0, ranges_ = 0, open_ = 0;
};

}  // namespace

Result<Template> Template::parse(std::string name, std::string_view text,
                                 const Functions& functions, Options options) {
  if (text.size() > options.limits.text_bytes) {
    return fail(Code::kLimit, "{}: longer than {} bytes", name, options.limits.text_bytes);
  }
  auto tree = std::make_shared<Tree>();
  tree->name = std::move(name);
  tree->options = std::move(options);
  if (tree->options.left.empty()) tree->options.left = "{{";
  if (tree->options.right.empty()) tree->options.right = "}}";
  Result<void> parsed = Parser(*tree, text, functions).run();
  if (!parsed) return pass(parsed);
  Template made;
  made.tree_ = std::move(tree);
  return made;
}

}  // namespace sluice::text_template
