#include "orchestrator/cli/frames.h"

#include <memory>

#include "core/base64.h"
#include "core/json.h"

namespace sluice::orchestrator::cli {
namespace {

class FramePrinter {
 public:
  explicit FramePrinter(Session& session) : session_(session) {}

  Result<void> feed(std::string_view bytes) {
    for (const char c : bytes) {
      text_ += c;
      if (escape_) {
        escape_ = false;
      } else if (in_string_) {
        escape_ = c == '\\';
        in_string_ = c != '"';
      } else if (c == '"') {
        in_string_ = true;
      } else if (c == '{') {
        ++depth_;
      } else if (c == '}' && --depth_ == 0) {
        Result<void> shown = show();
        text_.clear();
        if (!shown) return shown;
      }
    }
    return {};
  }

 private:
  Result<void> show() {
    Result<Json> frame = parse_json(text_);
    if (!frame) return pass(frame, "file frame");
    if (const std::string_view event = frame->get_string("FileEvent"); !event.empty()) return {};
    Result<std::string> data = base64_decode(frame->get_string("Data"));
    if (!data) return pass(data, "file frame");
    session_.env().terminal.out(*data);
    return {};
  }

  Session& session_;
  std::string text_;
  int depth_ = 0;
  bool in_string_ = false;
  bool escape_ = false;
};

}  // namespace

Task<int> print_frames(Session& session, std::string path, Query query, std::string doing) {
  Result<std::unique_ptr<HttpExchange>> exchange =
      co_await session.stream(std::move(path), std::move(query));
  if (!exchange) co_return session.error(doing, exchange.error());
  FramePrinter printer(session);
  while (true) {
    Result<std::string> piece = co_await (*exchange)->read();
    if (!piece) co_return session.error(doing, piece.error());
    if (piece->empty()) co_return 0;
    Result<void> shown = printer.feed(*piece);
    if (!shown) co_return session.error(doing, shown.error());
  }
}

std::optional<std::string_view> last_lines(std::string_view text, int64_t count) {
  size_t start = text.ends_with('\n') ? text.size() - 1 : text.size();
  for (int64_t found = 0; start > 0; --start) {
    if (text[start - 1] == '\n' && ++found == count) return text.substr(start);
  }
  return std::nullopt;
}

}  // namespace sluice::orchestrator::cli
