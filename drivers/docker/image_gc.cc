#include "drivers/docker/image_gc.h"

#include <algorithm>
#include <utility>

namespace sluice::drivers {
namespace {

constexpr size_t kMaxFileBytes = 4 << 20;
constexpr uint32_t kFileMode = 0600;
constexpr int64_t kMinLookMs = 100;

}  // namespace

ImageGc::ImageGc(Env env, Log& log, DockerApi& api, ImageGcOptions options)
    : env_(env),
      log_(log),
      api_(api),
      options_(std::move(options)),
      gone_(env_.executor),
      scope_(env_.executor) {
  if (options_.file.empty()) return;
  load();
  scope_.spawn(run());
}

ImageGc::Need::Need(ImageGc& gc, std::string name) : gc_(gc), name_(std::move(name)) {
  gc_.needed_.insert(name_);
}

ImageGc::Need::~Need() {
  gc_.needed_.erase(gc_.needed_.find(name_));
}

Task<void> ImageGc::settled(const std::string& name) {
  while (going_ == name) co_await gone_.wait();
}

void ImageGc::pulling(const std::string& name) {
  if (options_.file.empty() || pulled_.contains(name)) return;
  if (pulled_.size() >= options_.max_images) {
    log_.warn("docker: image {} will not be taken away: {} are kept track of already", name,
              pulled_.size());
    return;
  }
  pulled_[name] = 0;
  save();
}

void ImageGc::replaced(const std::string& name, const std::string& old_id) {
  if (pulled_.contains(name)) pulling(old_id);
}

void ImageGc::load() {
  Result<std::string> text = std::string();
  if (env_.disk.exists(options_.file)) text = env_.disk.read_file(options_.file, kMaxFileBytes);
  const Result<Json> json = text && !text->empty() ? parse_json(*text) : Json::object();
  const Json* images = json ? json->find("images") : nullptr;
  if (!text || !json) {
    // Its images stay in Docker: that is no reason not to start.
    log_.warn("docker: {}: {}; the images that it names are not taken away", options_.file,
              text ? json.error().message : text.error().message);
  }
  if (images != nullptr && images->is_object()) {
    for (const JsonMember& image : images->as_object()) {
      pulled_[image.key] = image.value.get_int("unneeded_since_ns");
    }
  }
}

void ImageGc::save() {
  Json images = Json::object();
  for (const auto& [name, since_ns] : pulled_) {
    images.set(name, Json::object({{"unneeded_since_ns", since_ns}}));
  }
  const Result<void> saved = env_.disk.write_file(
      options_.file, to_json(Json::object({{"images", std::move(images)}})), kFileMode);
  if (!saved) log_.warn("docker: {}: {}", options_.file, saved.error().message);
}

/// The ids of the images of all containers, also of those that are not ours.
Task<Result<std::set<std::string>>> ImageGc::used_ids() {
  auto containers = co_await api_.call(
      {.target = "/containers/json?all=true", .doing = "list containers by their images"});
  if (!containers) co_return pass(containers);
  std::set<std::string> ids;
  if (!containers->is_array()) co_return ids;
  for (const Json& container : containers->as_array()) {
    ids.emplace(container.get_string("ImageID"));
  }
  co_return ids;
}

Task<Result<bool>> ImageGc::in_use(std::string name, const std::set<std::string>& used) {
  if (needed_.contains(name)) co_return true;
  auto image =
      co_await api_.call({.target = "/images/" + name + "/json", .doing = "look at image " + name});
  if (!image && image.error().code == Code::kNotFound) co_return false;
  if (!image) co_return pass(image);
  co_return used.contains(std::string(image->get_string("Id"))) || needed_.contains(name);
}

Task<void> ImageGc::take_away(std::string name) {
  if (needed_.contains(name)) co_return;  // since it was looked at
  going_ = name;
  // Not by force: with a container that uses it Docker says no, and of several names only this one
  // goes.
  auto removed = co_await api_.call(
      {.method = "DELETE", .target = "/images/" + name, .doing = "remove image " + name});
  if (removed || removed.error().code == Code::kNotFound) {
    pulled_.erase(name);
    log_.info("docker: removed image {}, which nothing needed any more", name);
  } else if (removed.error().code == Code::kConflict) {
    pulled_[name] = 0;
  }
  going_.clear();
  gone_.pulse();
}

Task<void> ImageGc::look() {
  auto used = co_await used_ids();
  if (!used) co_return;  // Docker is away
  const Pulled before = pulled_;
  std::vector<std::string> names;
  for (const auto& [name, since_ns] : before) names.push_back(name);
  for (const std::string& name : names) {
    auto busy = co_await in_use(name, *used);
    if (!busy) co_return;
    const auto at = pulled_.find(name);
    if (at == pulled_.end()) continue;
    const int64_t now_ns = env_.executor.wall_ns();
    if (*busy) {
      at->second = 0;
    } else if (at->second == 0 || at->second > now_ns) {
      at->second = now_ns;
    } else if (now_ns - at->second >= options_.delay_ms * 1'000'000) {
      co_await take_away(name);
    }
  }
  if (pulled_ != before) save();
}

Task<void> ImageGc::run() {
  const int64_t every_ms = std::clamp(options_.delay_ms, kMinLookMs, options_.look_every_ms);
  while (true) {
    co_await sleep_for(env_.executor, every_ms);
    if (!pulled_.empty()) co_await look();
  }
}

}  // namespace sluice::drivers
