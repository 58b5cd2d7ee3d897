// The parsed form of a text template. Internal to core/text_template; never changes once made.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/text_template/template.h"

namespace sluice::text_template {

struct Pipe;

struct Operand {
  enum class Kind : uint8_t { kLiteral, kDot, kVariable, kFunction, kPipe } kind = Kind::kLiteral;
  Json literal;
  std::string name;                  // of a variable (with its $) or a function
  std::vector<std::string> fields;   // .A.B behind it
  std::shared_ptr<const Pipe> pipe;  // in parentheses
};

struct Command {
  std::vector<Operand> operands;
};

struct Pipe {
  std::vector<std::string> variables;  // that it sets; of a range: key and value
  bool declares = false;               // := and not =
  std::vector<Command> commands;
};

struct Node {
  enum class Kind : uint8_t { kText, kAction, kIf, kRange, kWith, kTemplate, kBreak, kContinue };
  Kind kind = Kind::kText;
  size_t line = 1;
  std::string text;  // also the name of a template that is called
  Pipe pipe;         // without commands: none was given
  std::vector<Node> body, otherwise;
};

struct Tree {
  std::string name;
  Options options;
  std::vector<Node> body;
  std::map<std::string, std::vector<Node>, std::less<>> defined;
};

}  // namespace sluice::text_template
