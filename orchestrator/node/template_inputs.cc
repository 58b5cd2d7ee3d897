#include "orchestrator/node/template_inputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/json_strings.h"
#include "orchestrator/node/task_files.h"

namespace sluice::orchestrator {

namespace {

using Arguments = std::span<const Json>;

constexpr int64_t kWaitMs = 60'000;
constexpr int64_t kFirstRetryMs = 250;
constexpr int64_t kLastRetryMs = 15'000;
constexpr size_t kFileBytes = 1024 * 1024;

Result<std::string> text_at(Arguments args, size_t at) {
  if (at >= args.size()) return fail(Code::kInvalid, "wants {} arguments", at + 1);
  if (!args[at].is_string()) {
    return fail(Code::kInvalid, "argument {} is no string", at + 1);
  }
  return args[at].as_string();
}

std::string with_slash(std::string prefix) {
  while (prefix.starts_with('/')) prefix.erase(0, 1);
  if (!prefix.empty() && !prefix.ends_with('/')) prefix += '/';
  return prefix;
}

Json pair_of(const std::string& path, const std::string& key, const std::string& value) {
  return Json::object(
      {{text_template::kRecord, "KeyPair"}, {"Path", path}, {"Key", key}, {"Value", value}});
}

/// "KEY@DC" is a key of another datacenter.
Result<void> of_this_datacenter(const std::string& key) {
  if (!key.contains('@')) return {};
  return fail(Code::kInvalid, "\"{}\": keys of another datacenter (@) are not known", key);
}

/// "tag.name@dc|passing,warning" in its parts; further arguments are filters, too.
struct ServiceQuery {
  std::string name, tag, datacenter;
  std::set<std::string> statuses;  // of its checks taken together
};

Result<void> take_filters(const std::string& filters, ServiceQuery& query) {
  size_t begin = 0;
  while (begin <= filters.size()) {
    const size_t end = std::min(filters.find(',', begin), filters.size());
    std::string word = filters.substr(begin, end - begin);
    std::erase(word, ' ');
    begin = end + 1;
    if (word.empty()) continue;
    const auto known = {"any", "passing", "warning", "critical", "maintenance"};
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      return fail(Code::kInvalid, "invalid filter \"{}\"", word);
    }
    query.statuses.insert(std::move(word));
  }
  return {};
}

Result<ServiceQuery> service_query(Arguments args) {
  Result<std::string> text = text_at(args, 0);
  if (!text) return pass(text);
  ServiceQuery query;
  std::string& rest = *text;
  std::string filters;
  if (const size_t bar = rest.find('|'); bar != std::string::npos) {
    filters = rest.substr(bar + 1);
    rest.resize(bar);
  }
  for (size_t i = 1; i < args.size(); ++i) {
    if (!args[i].is_string()) return fail(Code::kInvalid, "argument {} is no string", i + 1);
    filters += "," + args[i].as_string();
  }
  Result<void> taken = take_filters(filters, query);
  if (!taken) return pass(taken);
  if (query.statuses.empty()) query.statuses.insert("passing");
  if (const size_t near = rest.find('~'); near != std::string::npos) {
    return fail(Code::kInvalid, "\"{}\": ~ (near a node) is not known", rest);
  }
  if (const size_t at = rest.find('@'); at != std::string::npos) {
    query.datacenter = rest.substr(at + 1);
    rest.resize(at);
  }
  if (const size_t dot = rest.rfind('.'); dot != std::string::npos) {
    query.tag = rest.substr(0, dot);
    rest.erase(0, dot + 1);
  }
  if (rest.find_first_of(" \t\r\n/") != std::string::npos) {
    return fail(Code::kInvalid, "\"{}\" is no service's name", rest);
  }
  query.name = rest;
  return query;
}

/// Of all its checks, its node's too, as Consul's clients take them together; passing without any.
std::string_view status_of(const ServiceInstance& instance) {
  if (instance.maintenance) return "maintenance";
  CheckStatus worst = CheckStatus::kPassing;
  for (const CheckState& check : instance.checks) worst = std::max(worst, check.status);
  return to_string(worst);
}

Json instance_json(const ServiceInstance& instance) {
  std::vector<std::string> tags = instance.tags;
  std::sort(tags.begin(), tags.end());
  Json checks = Json::array();
  for (const CheckState& check : instance.checks) {
    checks.push(Json::object({{text_template::kRecord, "HealthCheck"},
                              {"CheckID", check.check_id},
                              {"Name", check.name},
                              {"Status", to_string(check.status)},
                              {"Output", check.output},
                              {"ServiceID", check.service_id}}));
  }
  return Json::object({{text_template::kRecord, "HealthService"},
                       {"ID", instance.id},
                       {"Name", instance.service},
                       {"Service", instance.service},
                       {"Address", instance.address},
                       {"NodeAddress", instance.address},
                       {"Port", static_cast<int64_t>(instance.port)},
                       {"Node", instance.node},
                       {"NodeDatacenter", instance.datacenter},
                       {"Datacenter", instance.datacenter},
                       {"Status", status_of(instance)},
                       {"Tags", string_list(tags)},
                       {"Checks", std::move(checks)},
                       {"ServiceMeta", string_map(instance.meta)}});
}

}  // namespace

TemplateInputs::TemplateInputs(NodeContext& context, Event& changed)
    : context_(context), changed_(changed), scope_(context.env.executor) {
  add_template_helpers(functions_);
  add_data_functions();
}

std::optional<std::string> TemplateInputs::key(const std::string& name, bool must_exist) {
  if (name.empty()) return std::nullopt;
  const Key& found = keys_[name];
  if (!found.here || (must_exist && !found.value)) missing_.insert("kv.block(" + name + ")");
  return found.value;
}

const std::map<std::string, std::string>* TemplateInputs::folder(const std::string& prefix,
                                                                 bool must_exist) {
  const Folder& found = folders_[with_slash(prefix)];
  if (!found.here || (must_exist && found.values.empty())) {
    missing_.insert("kv.list(" + prefix + ")");
  }
  return &found.values;
}

Result<Json> TemplateInputs::service(Arguments args) {
  Result<ServiceQuery> query = service_query(args);
  if (!query) return pass(query);
  Json list = Json::array();
  if (query->name.empty()) return list;
  services_used_.insert(query->name);
  const auto known = context_.services.find(query->name);
  if (known == context_.services.end()) return list;
  std::vector<const ServiceInstance*> found;
  for (const ServiceInstance& instance : known->second.instances) {
    if (!query->statuses.contains("any") &&
        !query->statuses.contains(std::string(status_of(instance)))) {
      continue;
    }
    if (!query->datacenter.empty() && instance.datacenter != query->datacenter) continue;
    if (!query->tag.empty() &&
        std::find(instance.tags.begin(), instance.tags.end(), query->tag) == instance.tags.end()) {
      continue;
    }
    found.push_back(&instance);
  }
  std::sort(found.begin(), found.end(),
            [](auto* a, auto* b) { return std::pair(a->node, a->id) < std::pair(b->node, b->id); });
  for (const ServiceInstance* instance : found) list.push(instance_json(*instance));
  return list;
}

Result<Json> TemplateInputs::services() {
  all_services_used_ = true;
  Json list = Json::array();
  for (const auto& [name, snapshot] : context_.services) {
    std::set<std::string> tags;
    for (const ServiceInstance& instance : snapshot.instances) {
      tags.insert(instance.tags.begin(), instance.tags.end());
    }
    Json all = Json::array();
    for (const std::string& tag : tags) all.push(tag);
    list.push(Json::object(
        {{text_template::kRecord, "CatalogSnippet"}, {"Name", name}, {"Tags", std::move(all)}}));
  }
  return list;
}

Result<Json> TemplateInputs::file(const std::string& path) {
  Result<TaskPath> place = task_path(task_folder_, alloc_folder_, path);
  if (!place) return pass(place);
  Result<std::string> content = read_inside(*place, kFileBytes);
  if (!content) return pass(content);
  return Json(*std::move(content));
}

void TemplateInputs::add_data_functions() {
  const auto by_name = [this](const char* name, auto run) {
    functions_[name] = [run](Arguments args) -> Result<Json> {
      Result<std::string> first = text_at(args, 0);
      if (!first) return pass(first);
      return run(*first, args);
    };
  };
  by_name("env", [this](const std::string& name, Arguments) -> Result<Json> {
    const auto found = environment_->find(name);
    return Json(found == environment_->end() ? std::string() : found->second);
  });
  functions_["envOrDefault"] = [this](Arguments args) -> Result<Json> {
    Result<std::string> name = text_at(args, 0), other = text_at(args, 1);
    if (!name || !other) return pass(name ? other : name);
    const auto found = environment_->find(*name);
    return Json(found != environment_->end() ? found->second : *other);
  };
  by_name("mustEnv", [this](const std::string& name, Arguments) -> Result<Json> {
    const auto found = environment_->find(name);
    if (found == environment_->end() || found->second.empty()) {
      return fail(Code::kInvalid, "required environment variable {} is empty", name);
    }
    return Json(found->second);
  });
  by_name("key", [this](const std::string& name, Arguments) -> Result<Json> {
    if (Result<void> ours = of_this_datacenter(name); !ours) return pass(ours);
    return Json(key(name, true).value_or(""));
  });
  by_name("keyExists", [this](const std::string& name, Arguments) -> Result<Json> {
    if (Result<void> ours = of_this_datacenter(name); !ours) return pass(ours);
    return Json(key(name, false).has_value());
  });
  functions_["keyOrDefault"] = [this](Arguments args) -> Result<Json> {
    Result<std::string> name = text_at(args, 0), other = text_at(args, 1);
    if (!name || !other) return pass(name ? other : name);
    if (Result<void> ours = of_this_datacenter(*name); !ours) return pass(ours);
    const auto value = key(*name, false);
    return Json(value && !value->empty() ? *value : *other);
  };
  const auto list = [this](const std::string& prefix, bool must_exist, bool deep) {
    Json out = Json::array();
    const std::string folder_name = with_slash(prefix);
    for (const auto& [path, value] : *folder(prefix, must_exist)) {
      const std::string rest = path.substr(std::min(folder_name.size(), path.size()));
      if (rest.empty() || rest.ends_with('/')) continue;
      if (!deep && rest.find('/') != std::string::npos) continue;
      out.push(pair_of(path, rest, value));
    }
    return out;
  };
  constexpr std::tuple<const char*, bool, bool> kLists[] = {{"ls", false, false},
                                                            {"safeLs", true, false},
                                                            {"tree", false, true},
                                                            {"safeTree", true, true}};
  for (const auto& [name, must_exist, deep] : kLists) {
    by_name(name, [list, must_exist, deep](const std::string& prefix, Arguments) -> Result<Json> {
      if (Result<void> ours = of_this_datacenter(prefix); !ours) return pass(ours);
      if (prefix.empty()) return Json::array();
      return list(prefix, must_exist, deep);
    });
  }
  by_name("file", [this](const std::string& path, Arguments) { return file(path); });
  functions_["service"] = [this](Arguments args) { return service(args); };
  functions_["nomadService"] = functions_["service"];
  functions_["services"] = [this](Arguments) { return services(); };
  functions_["nomadServices"] = functions_["services"];
}

const text_template::Functions& TemplateInputs::begin(
    const std::map<std::string, std::string>& environment, const std::string& task_folder,
    const std::string& alloc_folder) {
  environment_ = &environment;
  task_folder_ = task_folder;
  alloc_folder_ = alloc_folder;
  missing_.clear();
  return functions_;
}

void TemplateInputs::follow() {
  for (const auto& [name, value] : keys_) {
    if (followed_.insert(name).second) scope_.spawn(follow_key(name));
  }
  for (const auto& [prefix, value] : folders_) {
    if (followed_.insert("/" + prefix).second) scope_.spawn(follow_folder(prefix));
  }
}

void TemplateInputs::service_changed(const std::string& service) {
  if (all_services_used_ || services_used_.contains(service)) changed_.pulse();
}

template <class Ask, class Take>
Task<void> TemplateInputs::follow(Ask ask, Take take) {
  uint64_t index = 0;
  int64_t retry_ms = kFirstRetryMs;
  for (;;) {
    auto read = co_await ask(index);
    if (!read) {
      if (read.error().code != Code::kUnavailable && read.error().code != Code::kInternal) {
        trouble_ = read.error();
        changed_.pulse();
        co_return;
      }
      index = 0;
      co_await sleep_for(context_.env.executor, retry_ms);
      retry_ms = std::min(retry_ms * 2, kLastRetryMs);
      continue;
    }
    retry_ms = kFirstRetryMs;
    index = read->index;
    if (take(std::move(*read))) changed_.pulse();
  }
}

Task<void> TemplateInputs::follow_key(std::string name) {
  return follow(
      [this, name](uint64_t index) { return context_.catalog.read_key(name, index, kWaitMs); },
      [this, name](KeyValue read) {
        Key& known = keys_[name];
        if (known.here && known.value == read.value) return false;
        known = {true, std::move(read.value)};
        return true;
      });
}

Task<void> TemplateInputs::follow_folder(std::string prefix) {
  return follow(
      [this, prefix](uint64_t index) { return context_.catalog.list_keys(prefix, index, kWaitMs); },
      [this, prefix](Catalog::KeyList read) {
        Folder& known = folders_[prefix];
        if (known.here && known.values == read.values) return false;
        known = {true, std::move(read.values)};
        return true;
      });
}

}  // namespace sluice::orchestrator
