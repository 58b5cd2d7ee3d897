#include "core/hcl/source.h"

#include <algorithm>
#include <vector>

#include "core/check.h"

namespace sluice::hcl {

namespace {

bool starts_code_point(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

struct Line {
  size_t begin;
  size_t end;  // without the line's end
  uint32_t number;
};

Line line_of(std::string_view text, size_t at) {
  at = std::min(at, text.size());
  auto number = static_cast<uint32_t>(1 + std::count(text.begin(), text.begin() + at, '\n'));
  size_t begin = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  begin = begin == std::string_view::npos ? 0 : begin + 1;
  size_t end = std::min(text.find('\n', at), text.size());
  if (end > begin && text[end - 1] == '\r' && end > at) --end;
  return {begin, end, number};
}

}  // namespace

Position position_of(Span span) {
  if (!span.source) return {};
  std::string_view text = span.source->text();
  Line line = line_of(text, span.begin);
  size_t at = std::min<size_t>(span.begin, text.size());
  auto before = std::count_if(text.begin() + line.begin, text.begin() + at, starts_code_point);
  return {line.number, static_cast<uint32_t>(before + 1)};
}

std::string place_of(Span span) {
  if (!span.source) return "(no place)";
  Position position = position_of(span);
  return fmt::format("{}:{}:{}", span.source->name(), position.line, position.column);
}

std::string render_error(Span span, std::string_view message) {
  if (!span.source) return std::string(message);
  constexpr size_t kShownBefore = 80;
  constexpr size_t kShownAfter = 40;
  std::string_view text = span.source->text();
  Line line = line_of(text, span.begin);
  size_t at = std::min<size_t>(span.begin, text.size());

  size_t from = line.begin;
  size_t to = line.end;
  bool cut_before = at - from > kShownBefore;
  if (cut_before) {
    from = at - kShownBefore;
    while (from < at && !starts_code_point(text[from])) ++from;
  }
  bool cut_after = to > at + kShownAfter;
  if (cut_after) {
    to = at + kShownAfter;
    while (to > at && !starts_code_point(text[to])) --to;
  }
  std::string out =
      fmt::format("{}: {}\n  {}{}{}\n  ", place_of(span), message, cut_before ? "..." : "",
                  text.substr(from, to - from), cut_after ? "..." : "");
  if (cut_before) out += "   ";
  // Tabs are kept, so that the caret stands below the place however wide a tab is shown.
  for (size_t i = from; i < at; ++i) {
    if (starts_code_point(text[i])) out += text[i] == '\t' ? '\t' : ' ';
  }
  out += '^';
  return out;
}

// Optimal string alignment: insertions, deletions, substitutions, and two neighbours swapped.
static size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string_view closest_name(std::string_view word, const std::string_view* candidates,
                              size_t count) {
  constexpr size_t kMaxLength = 64;
  std::string_view best;
  size_t best_distance = 3;
  if (word.size() > kMaxLength) return best;
  for (size_t i = 0; i < count; ++i) {
    if (candidates[i].size() > kMaxLength) continue;
    size_t distance = edit_distance(word, candidates[i]);
    if (distance >= best_distance) continue;
    if (distance * 2 > std::max(word.size(), candidates[i].size())) continue;
    best = candidates[i];
    best_distance = distance;
  }
  return best;
}

}  // namespace sluice::hcl
