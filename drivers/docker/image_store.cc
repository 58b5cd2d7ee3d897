#include "drivers/docker/image_store.h"

#include <algorithm>
#include <utility>

#include "drivers/docker/container.h"

namespace sluice::drivers {
namespace {

constexpr int64_t kProgressEveryMs = 10'000;
constexpr size_t kMaxLineBytes = 64 << 10;

}  // namespace

Result<void> PullProgress::line(const Json& line) {
  if (const Json* detail = line.find("errorDetail"); detail || line.find("error")) {
    std::string text(line.get_string("error"));
    if (detail && !detail->get_string("message").empty()) text = detail->get_string("message");
    return std::unexpected(Error{pull_error_code(text), std::move(text)});
  }
  std::string_view id = line.get_string("id");
  std::string_view status = line.get_string("status");
  if (id.empty() || status.starts_with("Pulling from")) return {};
  Layer& layer = layers_[std::string(id)];
  if (const Json* detail = line.find("progressDetail"); status == "Downloading" && detail) {
    layer.current = detail->get_int("current");
    layer.total = std::max(layer.total, detail->get_int("total"));
  }
  if (status == "Download complete" || status == "Pull complete" || status == "Already exists") {
    layer.current = layer.total;
    layer.done = true;
  }
  return {};
}

std::string PullProgress::text() const {
  int64_t current = 0, total = 0;
  size_t done = 0;
  for (const auto& [id, layer] : layers_) {
    current += layer.current;
    total += layer.total;
    done += layer.done ? 1 : 0;
  }
  return fmt::format("{} of {} layers, {:.1f} of {:.1f} MB", done, layers_.size(),
                     static_cast<double>(current) / 1e6, static_cast<double>(total) / 1e6);
}

struct ImageStore::Pull {
  explicit Pull(Executor& executor) : changed(executor) {}
  std::string key;  // in pulls_
  std::string image;
  Event changed;  // set once it has ended, pulsed at progress
  Result<void> result;
  std::string progress;
  size_t waiting = 0;
  bool ended = false;
};

ImageStore::ImageStore(Executor& executor, DockerApi& api, ImageGc& gc,
                       CredentialsOptions credentials)
    : executor_(executor),
      api_(api),
      gc_(gc),
      credentials_(executor, std::move(credentials)),
      scope_(executor) {}

ImageStore::~ImageStore() = default;

Task<Result<std::string>> ImageStore::local_id(std::string name) {
  auto image = co_await api_.call(
      {.target = "/images/" + name + "/json", .doing = fmt::format("look for image {}", name)});
  if (!image) co_return pass(image);
  co_return std::string(image->get_string("Id"));
}

/// The value of X-Registry-Auth; "" where no credentials are known.
Task<Result<std::string>> ImageStore::auth_header(const DockerConfig& config, const ImageRef& ref,
                                                  const orchestrator::TaskEvents& on_event) {
  auto auth = co_await credentials_.find(config.auth, ref);
  if (!auth && config.auth_soft_fail) {
    on_event(fmt::format("{}; going on without credentials", auth.error().message));
    co_return std::string();
  }
  if (!auth) co_return pass(auth, "pull image {}", ref.text());
  co_return *auth ? registry_auth_header(**auth) : std::string();
}

Task<Result<std::string>> ImageStore::ensure(const DockerConfig& config,
                                             orchestrator::TaskEvents on_event) {
  auto ref = parse_image_ref(config.image);
  if (!ref) co_return pass(ref);
  const std::string name = ref->text();
  co_await gc_.settled(name);
  auto before = co_await local_id(name);
  const bool missing = !before && before.error().code == Code::kNotFound;
  if (before ? !config.force_pull : !missing) co_return std::move(before);
  auto header = co_await auth_header(config, *ref, on_event);
  if (!header) co_return pass(header);
  const std::string key = name + " " + *header;
  std::unique_ptr<Pull>& slot = pulls_[key];
  if (missing) gc_.pulling(name);
  if (!slot) {
    slot = std::make_unique<Pull>(executor_);
    slot->key = key;
    slot->image = name;
    DockerCall call{
        .method = "POST",
        .target = fmt::format("/images/create?fromImage={}&tag={}",
                              query_value(ref->familiar_name()), query_value(ref->pull_tag())),
        .doing = fmt::format("pull image {}", name)};
    if (!header->empty()) call.headers.add("X-Registry-Auth", *header);
    scope_.spawn(run_pull(*slot, std::move(call), config.image_pull_timeout_ms));
  }
  on_event(fmt::format("Downloading image {}", name));

  // Counts us in for as long as this frame lives, so that the last one takes the pull away.
  struct Interest {
    std::map<std::string, std::unique_ptr<Pull>>& pulls;
    Pull& pull;
    ~Interest() {
      if (--pull.waiting == 0 && pull.ended) pulls.erase(std::string(pull.key));
    }
  };
  Pull& pull = *slot;
  ++pull.waiting;
  Interest interest{pulls_, pull};
  const int64_t begun_ms = executor_.now_ms();
  int64_t told_ms = begun_ms;
  while (!pull.ended) {
    co_await pull.changed.wait();
    if (!pull.ended && executor_.now_ms() - told_ms >= kProgressEveryMs) {
      told_ms = executor_.now_ms();
      on_event(fmt::format("Downloading image {}: {}", name, pull.progress));
    }
  }
  if (!pull.result) co_return std::unexpected(pull.result.error());
  on_event(fmt::format("Image {} downloaded in {:.1f} s", name,
                       static_cast<double>(executor_.now_ms() - begun_ms) / 1000));
  auto now = co_await local_id(name);
  if (now && before && *now != *before) gc_.replaced(name, *before);
  co_return std::move(now);
}

Task<Result<void>> ImageStore::read_progress(Pull& pull, HttpExchange& exchange,
                                             int64_t idle_limit_ms) {
  PullProgress progress;
  std::string pending;
  while (true) {
    auto piece = co_await with_timeout(executor_, idle_limit_ms, exchange.read());
    if (!piece) {
      co_return fail(Code::kUnavailable, "pull image {}: {}", pull.image, piece.error().message);
    }
    if (piece->empty()) co_return Result<void>();
    pending += *piece;
    size_t begin = 0;
    for (size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
      auto line = parse_json(std::string_view(pending).substr(begin, end - begin));
      if (!line) continue;
      if (auto good = progress.line(*line); !good) {
        co_return fail(good.error().code, "pull image {}: {}", pull.image, good.error().message);
      }
    }
    pending.erase(0, begin);
    if (pending.size() > kMaxLineBytes) {
      co_return fail(Code::kLimit, "pull image {}: a line of more than {} bytes", pull.image,
                     kMaxLineBytes);
    }
    pull.progress = progress.text();
    pull.changed.pulse();
  }
}

Task<void> ImageStore::run_pull(Pull& pull, DockerCall call, int64_t idle_limit_ms) {
  auto exchange = co_await with_timeout(executor_, idle_limit_ms, api_.stream(std::move(call)));
  if (exchange) {
    pull.result = co_await read_progress(pull, **exchange, idle_limit_ms);
  } else {
    // What the registry said comes as Docker's own answer when it says it before any progress.
    Error error = std::move(exchange).error();
    if (error.code != Code::kUnavailable) error.code = pull_error_code(error.message);
    pull.result = std::unexpected(std::move(error));
  }
  pull.ended = true;
  pull.changed.set();
  if (pull.waiting == 0) {
    std::string key = pull.key;
    pulls_.erase(key);
  }
}

}  // namespace sluice::drivers
