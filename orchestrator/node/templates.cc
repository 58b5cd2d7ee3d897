#include "orchestrator/node/templates.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/ascii.h"
#include "orchestrator/node/pulse.h"
#include "orchestrator/node/task_files.h"

namespace sluice::orchestrator {

namespace {

constexpr size_t kSourceBytes = 1024 * 1024;
constexpr int64_t kSayMissingMs = 3'000;  // so long without something is worth an event
constexpr int64_t kSettleMs = 20;         // news that come together are one
constexpr int64_t kLookAgainMs = 1'000;
constexpr int64_t kMillisecondNs = 1'000'000;
constexpr uint32_t kDefaultMode = 0644;

bool name_byte(char c) {
  return ascii::is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

/// The value behind the =: bare up to a comment, '...' as it is, "..." with escapes.
std::optional<std::string> env_value(std::string_view text) {
  text = trim(text);
  if (text.starts_with('\'')) {
    const size_t end = text.find('\'', 1);
    if (end == std::string_view::npos) return std::nullopt;
    return std::string(text.substr(1, end - 1));
  }
  if (!text.starts_with('"')) {
    const size_t comment = text.find(" #");
    return std::string(trim(text.substr(0, comment)));
  }
  std::string out;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return out;
    if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
      out += text[i] == 'n' ? '\n' : text[i] == 't' ? '\t' : text[i];
    } else {
      out += text[i];
    }
  }
  return std::nullopt;
}

}  // namespace

Result<StringMap> parse_env_file(std::string_view text) {
  StringMap variables;
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty() || line.starts_with('#')) continue;
    if (line.starts_with("export ")) line = trim(line.substr(7));
    const size_t equals = line.find('=');
    const std::string_view name = trim(line.substr(0, equals));
    if (equals == std::string_view::npos || name.empty() ||
        !std::all_of(name.begin(), name.end(), name_byte)) {
      return fail(Code::kInvalid, "line {}: expected NAME=value", number);
    }
    std::optional<std::string> value = env_value(line.substr(equals + 1));
    if (!value) return fail(Code::kInvalid, "line {}: a quote without its end", number);
    variables[std::string(name)] = *std::move(value);
  }
  return variables;
}

TaskTemplates::TaskTemplates(NodeContext& context, const std::vector<Template>& templates,
                             TaskFolders folders, Hooks hooks)
    : context_(context),
      folders_(std::move(folders)),
      hooks_(std::move(hooks)),
      changed_(context.env.executor),
      inputs_(context, changed_) {
  for (const Template& spec : templates) {
    Item& item = items_.emplace_back();
    item.spec = &spec;
  }
}

Result<std::string> TaskTemplates::source_of(const Template& spec, const TaskEnv& environment) {
  if (spec.source_path.empty()) return spec.data;
  Result<TaskPath> place =
      task_path(folders_.task, folders_.alloc, environment.expand(spec.source_path));
  if (!place) return pass(place, "template source");
  Result<std::string> text = read_inside(*place, kSourceBytes);
  if (!text) return pass(text, "template source");
  return text;
}

Result<void> TaskTemplates::parse(Item& item, std::string source,
                                  const text_template::Functions& functions) {
  if (item.parsed && item.source == source) return {};
  const Template& spec = *item.spec;
  auto parsed = text_template::Template::parse(spec.dest_path, source, functions,
                                               {.left = spec.left_delim,
                                                .right = spec.right_delim,
                                                .error_on_missing_key = spec.error_on_missing_key});
  if (!parsed) return pass(parsed, "template");
  item.parsed = *std::move(parsed);
  item.source = std::move(source);
  return {};
}

Result<TaskTemplates::Round> TaskTemplates::render(const TaskEnv& environment) {
  const text_template::Functions& functions =
      inputs_.begin(environment.variables(), folders_.task, folders_.alloc);
  Round round;
  std::vector<std::string> texts;
  for (Item& item : items_) {
    Result<std::string> source = source_of(*item.spec, environment);
    if (!source) return pass(source);
    Result<void> parsed = parse(item, *std::move(source), functions);
    if (!parsed) return pass(parsed);
    Result<std::string> text = item.parsed->render(Json(), functions);
    if (!text && inputs_.missing().empty()) return pass(text, "template");
    texts.push_back(text.value_or(""));
  }
  inputs_.follow();
  if (inputs_.trouble()) {
    return fail(inputs_.trouble()->code, "template: {}", inputs_.trouble()->message);
  }
  round.whole = inputs_.missing().empty();
  if (!round.whole) return round;
  for (size_t i = 0; i < items_.size(); ++i) {
    Item& item = items_[i];
    if (item.written && (item.rendered == texts[i] || item.spec->once)) continue;
    item.rendered = std::move(texts[i]);
    item.written = false;  // however this round ends: the next one has it too
    round.changed.push_back(&item);
  }
  return round;
}

Result<void> TaskTemplates::write(Item& item, const TaskEnv& environment) {
  const Template& spec = *item.spec;
  Result<TaskPath> place =
      task_path(folders_.task, folders_.alloc, environment.expand(spec.dest_path));
  if (!place) return pass(place, "template destination");
  Result<void> written =
      write_inside(*place, item.rendered, parse_mode(spec.perms).value_or(kDefaultMode));
  if (!written) return pass(written, "template destination");
  item.written = true;
  return take_variables(item);
}

Result<void> TaskTemplates::take_variables(const Item& item) {
  const Template& spec = *item.spec;
  if (!spec.env) return {};
  Result<StringMap> variables = parse_env_file(item.rendered);
  if (!variables) return pass(variables, "template {}", spec.dest_path);
  for (auto& [name, value] : *variables) variables_[name] = std::move(value);
  return {};
}

Task<Result<void>> TaskTemplates::render_all(const TaskEnv& environment) {
  if (items_.empty()) co_return Result<void>();
  Result<void> whole = co_await wait_until_whole(environment);
  if (!whole) co_return whole;
  variables_.clear();
  for (Item& item : items_) {
    Result<void> written = write(item, environment);
    if (!written) co_return written;
  }
  co_return Result<void>();
}

Task<void> TaskTemplates::take_over(const TaskEnv& environment) {
  if (items_.empty()) co_return;
  Result<void> whole = co_await wait_until_believed(environment);
  std::vector<Item*> changed;
  for (Item& item : items_) {
    if (!whole) break;
    if (is_there(item, environment)) {
      item.written = true;
      whole = take_variables(item);
    } else {
      changed.push_back(&item);
      whole = write(item, environment);
    }
  }
  if (!whole) hooks_.event(whole.error().message);
  if (whole && !changed.empty()) act(changed);
}

/// Its file says what it was rendered to.
bool TaskTemplates::is_there(const Item& item, const TaskEnv& environment) const {
  Result<TaskPath> place =
      task_path(folders_.task, folders_.alloc, environment.expand(item.spec->dest_path));
  if (!place) return false;
  Result<std::string> there = read_inside(*place, item.rendered.size() + 1);
  return there && *there == item.rendered;
}

/// Absence is not an order: a catalog that has just started does not have the services yet that the
/// files of a running task name, or has still to ask their checks.
Task<Result<void>> TaskTemplates::wait_until_believed(const TaskEnv& environment) {
  Executor& executor = context_.env.executor;
  const int64_t believed_at_ms = executor.now_ms() + context_.options.services_come_ms;
  for (;;) {
    Result<void> whole = co_await wait_until_whole(environment);
    if (!whole || !inputs_.uses_services()) co_return whole;
    const bool same =
        std::ranges::all_of(items_, [&](const Item& item) { return is_there(item, environment); });
    if (same || (context_.services_told && executor.now_ms() >= believed_at_ms)) co_return whole;
    co_await pulse_within(executor, std::min(kLookAgainMs, context_.options.services_come_ms),
                          changed_);
  }
}

Task<Result<void>> TaskTemplates::wait_until_whole(const TaskEnv& environment) {
  Executor& executor = context_.env.executor;
  const int64_t say_at_ms = executor.now_ms() + kSayMissingMs;
  bool said = false;
  for (;;) {
    Result<Round> round = render(environment);
    if (!round) co_return pass(round);
    if (round->whole) co_return Result<void>();
    if (!said && executor.now_ms() >= say_at_ms) {
      said = true;
      hooks_.event(fmt::format("Missing: {}", fmt::join(inputs_.missing(), ", ")));
    }
    co_await pulse_within(executor, kSayMissingMs, changed_);
  }
}

Task<void> TaskTemplates::watch(const TaskEnv& environment) {
  const bool nothing =
      std::all_of(items_.begin(), items_.end(), [](const Item& item) { return item.spec->once; });
  if (nothing) co_return;
  for (bool first = true;; first = false) {
    // Something may have changed while the task was starting.
    if (!first) co_await changed_.wait();
    co_await sleep_for(context_.env.executor, kSettleMs);
    Result<Round> round = render(environment);
    if (!round) {
      hooks_.event(round.error().message);
      continue;
    }
    if (!round->whole || round->changed.empty()) continue;
    // Instances that depend on the same key are not to restart all at once.
    int64_t splay_ms = 0;
    for (const Item* item : round->changed) {
      if (item->spec->change_mode == "noop") continue;
      splay_ms = std::max(splay_ms, item->spec->splay_ns / kMillisecondNs);
    }
    if (splay_ms > 0) {
      co_await sleep_for(
          context_.env.executor,
          static_cast<int64_t>(context_.env.random.below(static_cast<uint64_t>(splay_ms))));
      round = render(environment);  // what came meanwhile is part of it
      if (!round || !round->whole) continue;
    }
    bool wrote = true;
    for (Item* item : round->changed) {
      Result<void> written = write(*item, environment);
      if (written) continue;
      hooks_.event(written.error().message);
      wrote = false;
    }
    if (wrote) act(round->changed);
  }
}

void TaskTemplates::act(const std::vector<Item*>& changed) {
  std::vector<std::string> signals;
  for (const Item* item : changed) {
    if (item->spec->change_mode == "restart") {
      hooks_.restart("Template with change_mode restart re-rendered");
      return;
    }
    if (item->spec->change_mode == "signal") signals.push_back(item->spec->change_signal);
  }
  std::sort(signals.begin(), signals.end());
  signals.erase(std::unique(signals.begin(), signals.end()), signals.end());
  for (const std::string& signal : signals) hooks_.signal(signal);
}

}  // namespace sluice::orchestrator
