#include "app/lb_registry.h"

#include <optional>
#include <utility>
#include <vector>

#include "app/lb_consul.h"
#include "core/scope.h"
#include "core/tls/client_files.h"
#include "core/tls/network.h"
#include "orchestrator/command_source.h"

namespace sluice {

using orchestrator::command_edit;
using orchestrator::kRegistryLayer;
using orchestrator::WatchedFile;

Task<void> Registry::deregister() {
  co_return;
}

namespace {

constexpr int64_t kForeverMs = 3'600'000;

class StaticRegistry final : public Registry {
 public:
  StaticRegistry(Env env, Balancer& balancer, const Properties& properties)
      : env_(env), balancer_(balancer) {
    reload(properties);
    balancer.routes_known();
  }
  void reload(const Properties& properties) override {
    balancer_.set_no_route_page(properties.get("registry.static.noroutehtml"));
    balancer_.routes().apply(
        {command_edit("static", properties.get("registry.static.routes"), kRegistryLayer)});
  }
  Task<void> run() override {
    while (true) co_await sleep_for(env_.executor, kForeverMs);
  }

 private:
  Env env_;
  Balancer& balancer_;
};

/// Passes on, and says that the routes are known once a source has said its own.
class KnownSink final : public proxy::RouteSink {
 public:
  explicit KnownSink(Balancer& balancer) : balancer_(balancer) {}
  uint64_t apply(std::vector<proxy::RouteEdit> edits) override {
    const uint64_t version = balancer_.routes().apply(std::move(edits));
    balancer_.routes_known();
    return version;
  }
  void when_drained(std::vector<std::string> instances, uint64_t version,
                    std::move_only_function<void()> done) override {
    balancer_.routes().when_drained(std::move(instances), version, std::move(done));
  }
  std::vector<proxy::RejectedRoute> rejected() const override {
    return balancer_.routes().rejected();
  }

 private:
  Balancer& balancer_;
};

/// A page that a file holds, looked at again and again.
std::unique_ptr<WatchedFile> watch_page(Env env, Log& log, Balancer& balancer, std::string path) {
  if (path.empty()) return nullptr;
  return std::make_unique<WatchedFile>(
      env, log, std::move(path),
      [&balancer](const std::string& text) { balancer.set_no_route_page(text); });
}

/// Routes that a task brings, and perhaps a page.
class WatchingRegistry : public Registry {
 public:
  WatchingRegistry(Env env, Log& log, Balancer& balancer)
      : env_(env), log_(log), balancer_(balancer), sink_(balancer) {}
  Task<void> run() override {
    Scope scope(env_.executor);
    if (page_) scope.spawn(page_->run());
    if (file_) scope.spawn(file_->run());
    if (custom_) scope.spawn(custom_->run());
    co_await scope.join();
  }

  /// They are looked at all the time; this only does it now.
  void reload(const Properties&) override {
    for (const auto& file : {page_.get(), file_.get()}) {
      if (file == nullptr) continue;
      Result<void> read = file->read();
      if (!read) log_.error("SIGHUP: {}; what it said before stays", read.error().message);
    }
  }

  Result<void> add_page(std::string path) {
    page_ = watch_page(env_, log_, balancer_, std::move(path));
    return page_ ? page_->read() : Result<void>();
  }
  Result<void> add_file(std::string path) {
    file_ =
        std::make_unique<WatchedFile>(env_, log_, std::move(path), [this](const std::string& text) {
          sink_.apply({command_edit("file", text, kRegistryLayer)});
        });
    return file_->read();
  }
  /// `secure`: absent for plain HTTP.
  void add_custom(orchestrator::CustomRegistryOptions options,
                  std::unique_ptr<tls::TlsNetwork> secure) {
    secure_ = std::move(secure);
    Network& network = secure_ ? *secure_ : env_.network;
    custom_.emplace(Env{env_.executor, network, env_.disk, env_.random, env_.processes}, log_,
                    sink_, std::move(options));
  }

 private:
  Env env_;
  Log& log_;
  Balancer& balancer_;
  KnownSink sink_;
  std::unique_ptr<WatchedFile> page_;
  std::unique_ptr<WatchedFile> file_;
  std::unique_ptr<tls::TlsNetwork> secure_;
  std::optional<orchestrator::CustomRegistry> custom_;
};

Result<std::unique_ptr<Registry>> make_file_registry(Env env, Log& log, Balancer& balancer,
                                                     const Properties& properties) {
  const std::string path = properties.get("registry.file.path");
  if (path.empty()) return fail(Code::kInvalid, "-registry.backend=file wants -registry.file.path");
  auto registry = std::make_unique<WatchingRegistry>(env, log, balancer);
  Result<void> read = registry->add_file(path);
  if (!read) return pass(read, "-registry.file.path");
  read = registry->add_page(properties.get("registry.file.noroutehtmlpath"));
  if (!read) return pass(read, "-registry.file.noroutehtmlpath");
  return registry;
}

Result<std::unique_ptr<Registry>> make_custom_registry(Env env, Log& log, Balancer& balancer,
                                                       const Properties& properties) {
  orchestrator::CustomRegistryOptions options;
  options.host = properties.get("registry.custom.host");
  if (options.host.empty()) {
    return fail(Code::kInvalid, "-registry.backend=custom wants -registry.custom.host");
  }
  const std::string scheme = properties.get("registry.custom.scheme");
  if (scheme != "http" && scheme != "https") {
    return fail(Code::kInvalid, "-registry.custom.scheme {}: want http or https", scheme);
  }
  std::unique_ptr<tls::TlsNetwork> secure;
  if (scheme == "https") {
    auto context = tls::load_client(env.disk, {});
    if (!context) return pass(context, "-registry.custom.scheme https");
    secure = std::make_unique<tls::TlsNetwork>(
        env.executor, env.network, *std::move(context),
        options.host.substr(0, options.host.find(':')),
        properties.get_bool("registry.custom.checkTLSSkipVerify"));
  }
  if (options.host.find(':') == std::string::npos) options.host += secure ? ":443" : ":80";
  options.target = properties.get("registry.custom.path");
  if (!options.target.starts_with('/')) options.target.insert(0, "/");
  if (const std::string query = properties.get("registry.custom.queryparams"); !query.empty()) {
    options.target += "?" + query;
  }
  for (const char c : options.target) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) {
      return fail(Code::kInvalid, "-registry.custom.path and queryparams hold no blanks");
    }
  }
  options.poll_ms =
      std::max<int64_t>(properties.get_duration_ms("registry.custom.pollinterval"), 1);
  options.timeout_ms = properties.get_duration_ms("registry.custom.timeout");
  auto registry = std::make_unique<WatchingRegistry>(env, log, balancer);
  registry->add_custom(std::move(options), std::move(secure));
  Result<void> read = registry->add_page(properties.get("registry.custom.noroutehtml"));
  if (!read) return pass(read, "-registry.custom.noroutehtml");
  return registry;
}

}  // namespace

Result<std::unique_ptr<Registry>> make_registry(Env env, Log& log, Balancer& balancer,
                                                const Properties& properties) {
  const std::string backend = properties.get("registry.backend");
  if (backend == "consul") return make_consul_registry(env, log, balancer, properties);
  if (backend == "static") return std::make_unique<StaticRegistry>(env, balancer, properties);
  if (backend == "file") return make_file_registry(env, log, balancer, properties);
  if (backend == "custom") return make_custom_registry(env, log, balancer, properties);
  return fail(Code::kInvalid, "-registry.backend {}: want consul, static, file or custom", backend);
}

}  // namespace sluice
