#include "orchestrator/cli/cli.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/loop.h"
#include "core/scope.h"
#include "core/uv_network.h"

namespace sluice::orchestrator::cli {
namespace {

/// The process's own standard streams. Blocking: a verb has nothing better to do meanwhile.
class StandardTerminal final : public Terminal {
 public:
  void out(std::string_view text) override { write(stdout, text); }
  void err(std::string_view text) override {
    std::fflush(stdout);
    write(stderr, text);
  }
  bool out_is_terminal() const override { return isatty(STDOUT_FILENO) == 1; }

  std::optional<std::string> read_line() override {
    std::string line;
    int c = 0;
    while ((c = std::getchar()) != EOF && c != '\n') line += static_cast<char>(c);
    if (c == EOF && line.empty()) return std::nullopt;
    return line;
  }

  Result<std::string> read_all(size_t limit_bytes) override {
    std::string text;
    char buffer[4096];
    while (const size_t got = std::fread(buffer, 1, sizeof buffer, stdin)) {
      text.append(buffer, got);
      if (text.size() > limit_bytes) {
        return fail(Code::kLimit, "standard input is longer than {} bytes", limit_bytes);
      }
    }
    return text;
  }

  bool in_is_terminal() const override { return isatty(STDIN_FILENO) == 1; }

  std::string read_some() override {
    std::string bytes(4096, '\0');
    ssize_t got;
    do {
      got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    } while (got < 0 && errno == EINTR);
    bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return bytes;
  }

  Size size() const override {
    winsize found{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &found) != 0 || found.ws_row == 0) return {};
    return {found.ws_row, found.ws_col};
  }

  void set_raw(bool raw) override {
    if (raw && tcgetattr(STDIN_FILENO, &before_) == 0) {
      termios changed = before_;
      cfmakeraw(&changed);
      is_raw_ = tcsetattr(STDIN_FILENO, TCSANOW, &changed) == 0;
    } else if (!raw && std::exchange(is_raw_, false)) {
      tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
  }

  void leave(int code) override {
    set_raw(false);
    std::fflush(stdout);
    std::_Exit(code);
  }

 private:
  termios before_{};
  bool is_raw_ = false;
  static void write(FILE* file, std::string_view text) {
    // A reader that went away (`| head`) ends the verb, as it would any filter.
    if (std::fwrite(text.data(), 1, text.size(), file) != text.size() || std::fflush(file) != 0) {
      std::_Exit(1);
    }
  }
};

int32_t local_offset_s(int64_t unix_s) {
  tm local{};
  const time_t moment = unix_s;
  return localtime_r(&moment, &local) == nullptr ? 0 : static_cast<int32_t>(local.tm_gmtoff);
}

Task<void> run_and_stop(CliEnv& env, std::vector<std::string> words, int& code, UvLoop& loop) {
  code = co_await run_verb(env, std::move(words));
  loop.stop();
}

}  // namespace

int run_cli(std::vector<std::string> words) {
  UvLoop loop;
  UvNetwork network(loop);
  PosixDisk disk;
  StandardTerminal terminal;
  CliEnv env{.executor = loop,
             .network = network,
             .disk = disk,
             .terminal = terminal,
             .environment =
                 [](const char* name) {
                   const char* value = std::getenv(name);
                   return std::string(value == nullptr ? "" : value);
                 },
             .utc_offset_s = local_offset_s};
  int code = 1;
  {
    Scope scope(loop);
    scope.spawn(run_and_stop(env, std::move(words), code, loop));
    loop.run();
  }
  return code;
}

}  // namespace sluice::orchestrator::cli
