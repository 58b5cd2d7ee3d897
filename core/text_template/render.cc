#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/text_template/tree.h"

namespace sluice::text_template {

namespace {

enum class Flow : uint8_t { kOn, kBreak, kContinue };

class Renderer {
 public:
  Renderer(const Tree& tree, const Functions& functions) : tree_(tree), functions_(functions) {}

  Result<std::string> run(const Json& dot) {
    variables_.push_back({"$", dot});
    Result<Flow> done = nodes(tree_.body, dot);
    if (!done) return pass(done);
    return std::move(out_);
  }

 private:
  struct Variable {
    std::string name;
    Json value;
  };

  template <class... Args>
  std::unexpected<Error> wrong(fmt::format_string<Args...> text, Args&&... args) const {
    return fail(Code::kInvalid, "{}:{}: {}", tree_.name, line_,
                fmt::format(text, std::forward<Args>(args)...));
  }

  Result<Flow> nodes(const std::vector<Node>& list, const Json& dot) {
    const size_t scope = variables_.size();
    for (const Node& item : list) {
      Result<Flow> flow = node(item, dot);
      if (!flow) return flow;
      if (*flow != Flow::kOn) {
        variables_.resize(scope);
        return flow;
      }
    }
    variables_.resize(scope);
    return Flow::kOn;
  }

  Result<Flow> node(const Node& item, const Json& dot) {
    line_ = item.line;
    if (++steps_ > tree_.options.limits.steps) return wrong("too many steps");
    switch (item.kind) {
      case Node::Kind::kText: {
        Result<void> put = write(item.text);
        if (!put) return pass(put);
        return Flow::kOn;
      }
      case Node::Kind::kAction: {
        Result<Json> value = pipe(item.pipe, dot);
        if (!value) return pass(value);
        if (!item.pipe.variables.empty()) return Flow::kOn;
        Result<void> put = write(value->is_null() ? "<no value>" : to_text(*value));
        if (!put) return pass(put);
        return Flow::kOn;
      }
      case Node::Kind::kIf:
      case Node::Kind::kWith: return branch(item, dot);
      case Node::Kind::kRange: return range(item, dot);
      case Node::Kind::kTemplate: return call(item, dot);
      case Node::Kind::kBreak: return Flow::kBreak;
      case Node::Kind::kContinue: return Flow::kContinue;
    }
    return Flow::kOn;
  }

  Result<void> write(std::string_view text) {
    if (out_.size() + text.size() > tree_.options.limits.output_bytes) {
      return wrong("the result is longer than {} bytes", tree_.options.limits.output_bytes);
    }
    out_ += text;
    return {};
  }

  Result<Flow> branch(const Node& item, const Json& dot) {
    const size_t scope = variables_.size();
    Result<Json> value = pipe(item.pipe, dot);
    if (!value) return pass(value);
    const bool taken = is_true(*value);
    const Json& inside = item.kind == Node::Kind::kWith && taken ? *value : dot;
    Result<Flow> flow = nodes(taken ? item.body : item.otherwise, inside);
    variables_.resize(scope);
    return flow;
  }

  Result<Flow> range(const Node& item, const Json& dot) {
    Pipe source = item.pipe;
    const std::vector<std::string> names = std::move(source.variables);
    source.variables.clear();
    Result<Json> value = pipe(source, dot);
    if (!value) return pass(value);
    bool any = false;
    const auto once = [&](const Json& key, const Json& element) -> Result<Flow> {
      any = true;
      const size_t scope = variables_.size();
      const auto set = [&](const std::string& name, const Json& to) -> Result<void> {
        if (item.pipe.declares) {
          variables_.push_back({name, to});
          return {};
        }
        return assign(name, to);
      };
      Result<void> done;
      if (names.size() == 2) done = set(names[0], key);
      if (done && !names.empty()) done = set(names.back(), element);
      if (!done) return pass(done);
      Result<Flow> flow = nodes(item.body, element);
      variables_.resize(scope);
      return flow;
    };
    Result<Flow> flow = Flow::kOn;
    if (value->is_array()) {
      const Json::Array& items = value->as_array();
      for (size_t i = 0; i < items.size() && flow && *flow != Flow::kBreak; ++i) {
        flow = once(Json(static_cast<int64_t>(i)), items[i]);
      }
    } else if (value->is_object() && value->find(kRecord) == nullptr) {
      std::vector<const JsonMember*> members;
      for (const JsonMember& member : value->as_object()) members.push_back(&member);
      std::sort(members.begin(), members.end(), [](auto* a, auto* b) { return a->key < b->key; });
      for (size_t i = 0; i < members.size() && flow && *flow != Flow::kBreak; ++i) {
        flow = once(Json(members[i]->key), members[i]->value);
      }
    } else if (value->is_int()) {
      for (int64_t i = 0; i < value->as_int() && flow && *flow != Flow::kBreak; ++i) {
        flow = once(Json(i), Json(i));
      }
    } else if (!value->is_null()) {
      return wrong("range can't iterate over {}", to_text(*value));
    }
    if (!flow) return flow;
    if (!any) return nodes(item.otherwise, dot);
    return Flow::kOn;
  }

  Result<Flow> call(const Node& item, const Json& dot) {
    Json inside;
    if (!item.pipe.commands.empty()) {
      Result<Json> value = pipe(item.pipe, dot);
      if (!value) return pass(value);
      inside = *std::move(value);
    }
    return defined(item.text, inside);
  }

  Result<Flow> defined(const std::string& name, const Json& inside) {
    const auto found = tree_.defined.find(name);
    if (found == tree_.defined.end()) return wrong("template \"{}\" not defined", name);
    if (++depth_ > tree_.options.limits.depth) {
      return wrong("templates call each other too deeply");
    }
    std::vector<Variable> outer = std::exchange(variables_, {{"$", inside}});
    Result<Flow> flow = nodes(found->second, inside);
    variables_ = std::move(outer);
    --depth_;
    return flow;
  }

  /// What a defined template makes, as a value.
  Result<Json> execute(std::span<const Json> arguments) {
    if (arguments.empty() || arguments.size() > 2 || !arguments[0].is_string()) {
      return wrong("{}: wants a template's name and at most one value", kExecute);
    }
    std::string outer = std::exchange(out_, {});
    Result<Flow> flow =
        defined(arguments[0].as_string(), arguments.size() == 2 ? arguments[1] : Json());
    std::string made = std::exchange(out_, std::move(outer));
    if (!flow) return pass(flow);
    return Json(std::move(made));
  }

  Result<void> assign(const std::string& name, Json value) {
    for (auto at = variables_.rbegin(); at != variables_.rend(); ++at) {
      if (at->name != name) continue;
      at->value = std::move(value);
      return {};
    }
    return wrong("undefined variable \"{}\"", name);
  }

  Result<Json> pipe(const Pipe& source, const Json& dot) {
    std::optional<Json> value;
    for (const Command& one : source.commands) {
      Result<Json> next = command(one, dot, value);
      if (!next) return next;
      value = *std::move(next);
    }
    for (const std::string& name : source.variables) {
      if (source.declares) {
        variables_.push_back({name, *value});
        continue;
      }
      Result<void> done = assign(name, *value);
      if (!done) return pass(done);
    }
    return *std::move(value);
  }

  Result<Json> command(const Command& one, const Json& dot, const std::optional<Json>& piped) {
    const Operand& first = one.operands.front();
    if (first.kind != Operand::Kind::kFunction) return operand(first, dot);
    std::vector<Json> arguments;
    const bool all = first.name == "and", any = first.name == "or";
    const auto decided = [&] {
      if (arguments.empty() || (!all && !any)) return false;
      return is_true(arguments.back()) == any;
    };
    for (size_t i = 1; i < one.operands.size(); ++i) {
      Result<Json> value = operand(one.operands[i], dot);
      if (!value) return value;
      arguments.push_back(*std::move(value));
      if (decided()) return std::move(arguments.back());
    }
    if (piped) arguments.push_back(*piped);
    if ((all || any) && arguments.empty()) return wrong("{}: no arguments", first.name);
    if (all || any) return std::move(arguments.back());
    Result<Json> value = call(first.name, arguments);
    if (!value) return value;
    return fields(*std::move(value), first.fields);
  }

  Result<Json> call(const std::string& name, std::span<const Json> arguments) {
    const auto own = functions_.find(name);
    if (name == kExecute && own != functions_.end()) return execute(arguments);
    const Function* function = nullptr;
    if (own != functions_.end()) {
      function = &own->second;
    } else if (const auto builtin = builtin_functions().find(name);
               builtin != builtin_functions().end()) {
      function = &builtin->second;
    }
    if (function == nullptr) return wrong("function \"{}\" not defined", name);
    Result<Json> value = (*function)(arguments);
    if (!value) return wrong("{}: {}", name, value.error().message);
    return value;
  }

  Result<Json> operand(const Operand& item, const Json& dot) {
    if (++steps_ > tree_.options.limits.steps) return wrong("too many steps");
    switch (item.kind) {
      case Operand::Kind::kLiteral: return fields(item.literal, item.fields);
      case Operand::Kind::kDot: return fields(dot, item.fields);
      case Operand::Kind::kVariable:
        for (auto at = variables_.rbegin(); at != variables_.rend(); ++at) {
          if (at->name == item.name) return fields(at->value, item.fields);
        }
        return wrong("undefined variable \"{}\"", item.name);
      case Operand::Kind::kFunction: {
        Result<Json> value = call(item.name, {});
        if (!value) return value;
        return fields(*std::move(value), item.fields);
      }
      case Operand::Kind::kPipe: {
        const size_t scope = variables_.size();
        Result<Json> value = pipe(*item.pipe, dot);
        variables_.resize(scope);
        if (!value) return value;
        return fields(*std::move(value), item.fields);
      }
    }
    return Json();
  }

  Result<Json> fields(Json value, const std::vector<std::string>& names) {
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string& name = names[i];
      if (value.is_null() && i == 0 && !tree_.options.error_on_missing_key) return Json();
      if (value.is_null()) {
        return wrong("nil pointer evaluating interface {{}}.{}", name);
      }
      if (!value.is_object()) return wrong("can't evaluate field {} in {}", name, to_text(value));
      const Json* found = value.find(name);
      if (const Json* type = value.find(kRecord); type != nullptr && found == nullptr) {
        return wrong("can't evaluate field {} in type {}", name, to_text(*type));
      }
      if (found == nullptr) {
        if (tree_.options.error_on_missing_key)
          return wrong("map has no entry for key \"{}\"", name);
        value = Json();
        continue;
      }
      Json inner = *found;
      value = std::move(inner);
    }
    return value;
  }

  const Tree& tree_;
  const Functions& functions_;
  std::string out_;
  std::vector<Variable> variables_;
  size_t line_ = 1, steps_ = 0, depth_ = 0;
};

}  // namespace

Result<std::string> Template::render(const Json& dot, const Functions& functions) const {
  return Renderer(*tree_, functions).run(dot);
}

}  // namespace sluice::text_template
