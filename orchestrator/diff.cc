#include "orchestrator/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "orchestrator/fields_json.h"

namespace sluice::orchestrator {

namespace {

constexpr const char* kNone = "None";
constexpr const char* kAdded = "Added";
constexpr const char* kDeleted = "Deleted";
constexpr const char* kEdited = "Edited";

/// Fields and objects of one diffed thing, as they are collected.
struct Parts {
  Json fields = Json::array();
  Json objects = Json::array();
  bool changed = false;
  bool context = false;  // unchanged fields are shown, too
};

void add_field(Parts& parts, const std::string& name, const std::string& before,
               const std::string& after, bool had, bool has) {
  if (before == after && (had == has || before.empty())) {
    if (!parts.context || before.empty()) return;
    parts.fields.push(Json::object({{"Type", kNone},
                                    {"Name", name},
                                    {"Old", before},
                                    {"New", after},
                                    {"Annotations", nullptr}}));
    return;
  }
  const char* type = kEdited;
  if (before.empty() && !after.empty()) type = kAdded;
  if (!before.empty() && after.empty()) type = kDeleted;
  parts.changed = true;
  parts.fields.push(Json::object(
      {{"Type", type}, {"Name", name}, {"Old", before}, {"New", after}, {"Annotations", nullptr}}));
}

std::string text_of(const std::string& value) {
  return value;
}
std::string text_of(bool value) {
  return value ? "true" : "false";
}
std::string text_of(int64_t value) {
  return value == kUnset ? std::string() : fmt::to_string(value);
}
std::string text_of(const std::optional<bool>& value) {
  return value ? text_of(*value) : "";
}

const char* type_of(bool had, bool has, bool changed) {
  if (!had) return kAdded;
  if (!has) return kDeleted;
  return changed ? kEdited : kNone;
}

Json object_of(const std::string& name, const char* type, Parts parts) {
  return Json::object({{"Type", type},
                       {"Name", name},
                       {"Fields", std::move(parts.fields)},
                       {"Objects", std::move(parts.objects)}});
}

/// A driver's block as flat names: "port_map[0].http".
void flatten(const Json& json, const std::string& name, StringMap& out) {
  if (json.is_object()) {
    for (const auto& [key, value] : json.as_object()) {
      flatten(value, name.empty() ? key : name + "." + key, out);
    }
  } else if (json.is_array()) {
    size_t i = 0;
    for (const Json& item : json.as_array()) flatten(item, fmt::format("{}[{}]", name, i++), out);
  } else if (json.is_string()) {
    out[name] = json.as_string();
  } else if (!json.is_null()) {
    out[name] = to_json(json);
  }
}

void map_fields(Parts& parts, const StringMap* before, const StringMap* after,
                const std::function<std::string(const std::string&)>& name) {
  std::set<std::string> keys;
  for (const StringMap* map : {before, after}) {
    if (!map) continue;
    for (const auto& [key, value] : *map) keys.insert(key);
  }
  for (const std::string& key : keys) {
    const auto look = [&](const StringMap* map) -> const std::string* {
      if (!map) return nullptr;
      const auto found = map->find(key);
      return found == map->end() ? nullptr : &found->second;
    };
    const std::string* old = look(before);
    const std::string* now = look(after);
    add_field(parts, name(key), old ? *old : "", now ? *now : "", old, now);
  }
}

/// What tells the items of a list apart: the name where there is one, else everything.
template <class T>
std::string identity(const T& item) {
  if constexpr (requires { item.label; }) {
    return item.label;
  } else if constexpr (std::same_as<T, Network> || std::same_as<T, Spread>) {
    return {};
  } else if constexpr (requires { item.name; }) {
    return item.name;
  } else {
    std::string text;
    JsonWriter out(text);
    encode(out, item, EncodeOptions{.compact = true});
    return text;
  }
}

template <class T>
Parts diff_fields(const T* before, const T* after, bool context);

template <class T>
void diff_object(Parts& parts, const std::string& name, const T* before, const T* after) {
  if (!before && !after) return;
  Parts inner = diff_fields(before, after, true);
  const char* type = type_of(before, after, inner.changed);
  if (type == kNone) return;
  parts.changed = true;
  parts.objects.push(object_of(name, type, std::move(inner)));
}

class Differ {
 public:
  Differ(Parts& parts, const std::vector<const void*>& before,
         const std::vector<const void*>& after)
      : parts_(parts), before_(before), after_(after) {}

  template <class F>
  void operator()(const char* name, const F&) {
    const auto* old = static_cast<const F*>(before_.empty() ? nullptr : before_[at_]);
    const auto* now = static_cast<const F*>(after_.empty() ? nullptr : after_[at_]);
    ++at_;
    diff(name, old, now);
  }
  template <class F>
  void meta(const char*, const F&) {}
  void unsupported(const char*) {}

 private:
  template <class F>
    requires requires(const F& field) { text_of(field); }
  void diff(const std::string& name, const F* old, const F* now) {
    add_field(parts_, name, old ? text_of(*old) : "", now ? text_of(*now) : "", old, now);
  }
  void diff(const std::string& name, const StringList* old, const StringList* now) {
    std::set<std::string> before, after;
    if (old) before.insert(old->begin(), old->end());
    if (now) after.insert(now->begin(), now->end());
    if (before == after) return;
    Parts inner;
    for (const std::string& item : after) {
      if (!before.contains(item)) add_field(inner, name, "", item, false, true);
    }
    for (const std::string& item : before) {
      if (!after.contains(item)) add_field(inner, name, item, "", true, false);
    }
    parts_.changed = true;
    parts_.objects.push(
        object_of(name, type_of(!before.empty(), !after.empty(), true), std::move(inner)));
  }
  void diff(const std::string& name, const StringMap* old, const StringMap* now) {
    map_fields(parts_, old, now, [&](const std::string& key) { return name + "[" + key + "]"; });
  }
  void diff(const std::string& name, const std::map<std::string, StringList>* old,
            const std::map<std::string, StringList>* now) {
    const auto join = [](const std::map<std::string, StringList>* map) {
      StringMap out;
      if (!map) return out;
      for (const auto& [key, values] : *map) out[key] = fmt::format("{}", fmt::join(values, ","));
      return out;
    };
    const StringMap before = join(old), after = join(now);
    map_fields(parts_, &before, &after,
               [&](const std::string& key) { return name + "[" + key + "]"; });
  }
  void diff(const std::string& name, const Json* old, const Json* now) {
    StringMap before, after;
    if (old) flatten(*old, "", before);
    if (now) flatten(*now, "", after);
    Parts inner;
    inner.context = true;
    map_fields(inner, old ? &before : nullptr, now ? &after : nullptr,
               [](const std::string& key) { return key; });
    if (!inner.changed) return;
    parts_.changed = true;
    parts_.objects.push(
        object_of(name, type_of(!before.empty(), !after.empty(), true), std::move(inner)));
  }
  template <HasFields T>
  void diff(const std::string&, const std::optional<T>* old, const std::optional<T>* now) {
    diff_object<T>(parts_, T::kDiffName, old && *old ? &**old : nullptr,
                   now && *now ? &**now : nullptr);
  }
  template <HasFields T>
  void diff(const std::string& name, const std::vector<T>* old, const std::vector<T>* now) {
    // Groups and tasks have places of their own in the diff.
    if constexpr (!std::same_as<T, TaskGroup> && !std::same_as<T, TaskConfig>) {
      std::string object = T::kDiffName;
      if (name == "DynamicPorts") object = "Dynamic Port";
      if (name == "ReservedPorts") object = "Static Port";
      std::map<std::string, std::pair<const T*, const T*>> items;
      if (old) {
        for (const T& item : *old) items[identity(item)].first = &item;
      }
      if (now) {
        for (const T& item : *now) items[identity(item)].second = &item;
      }
      for (const auto& [key, pair] : items) {
        diff_object<T>(parts_, object, pair.first, pair.second);
      }
    }
  }
  template <HasFields T>
  void diff(const std::string&, const std::map<std::string, T>* old,
            const std::map<std::string, T>* now) {
    std::map<std::string, std::pair<const T*, const T*>> items;
    if (old) {
      for (const auto& [key, item] : *old) items[key].first = &item;
    }
    if (now) {
      for (const auto& [key, item] : *now) items[key].second = &item;
    }
    for (const auto& [key, pair] : items) {
      diff_object<T>(parts_, T::kDiffName, pair.first, pair.second);
    }
  }

  Parts& parts_;
  const std::vector<const void*>& before_;
  const std::vector<const void*>& after_;
  size_t at_ = 0;
};

template <class T>
Parts diff_fields(const T* before, const T* after, bool context) {
  Parts parts;
  parts.context = context;
  FieldPlaces old{.with_meta = false}, now{.with_meta = false};
  if (before) T::fields(old, *before);
  if (after) T::fields(now, *after);
  Differ differ(parts, old.places, now.places);
  T::fields(differ, before ? *before : *after);
  return parts;
}

Json diff_task(const TaskConfig* before, const TaskConfig* after) {
  Parts parts = diff_fields(before, after, false);
  const char* type = type_of(before, after, parts.changed);
  Json task = object_of(before ? before->name : after->name, type, std::move(parts));
  task.set("Annotations", nullptr);
  return task;
}

Json diff_group(const TaskGroup* before, const TaskGroup* after) {
  Parts parts = diff_fields(before, after, false);
  std::map<std::string, std::pair<const TaskConfig*, const TaskConfig*>> tasks;
  if (before) {
    for (const TaskConfig& task : before->tasks) tasks[task.name].first = &task;
  }
  if (after) {
    for (const TaskConfig& task : after->tasks) tasks[task.name].second = &task;
  }
  Json list = Json::array();
  for (const auto& [name, pair] : tasks) {
    Json task = diff_task(pair.first, pair.second);
    parts.changed |= task.get_string("Type") != kNone;
    list.push(std::move(task));
  }
  const char* type = type_of(before, after, parts.changed);
  Json group = object_of(before ? before->name : after->name, type, std::move(parts));
  group.set("Tasks", std::move(list));
  group.set("Updates", nullptr);
  return group;
}

}  // namespace

Json diff_jobs(const Job* before, const Job* after) {
  CHECK(before || after);
  Parts parts = diff_fields(before, after, false);
  std::map<std::string, std::pair<const TaskGroup*, const TaskGroup*>> groups;
  if (before) {
    for (const TaskGroup& group : before->groups) groups[group.name].first = &group;
  }
  if (after) {
    for (const TaskGroup& group : after->groups) groups[group.name].second = &group;
  }
  Json list = Json::array();
  for (const auto& [name, pair] : groups) {
    Json group = diff_group(pair.first, pair.second);
    parts.changed |= group.get_string("Type") != kNone;
    list.push(std::move(group));
  }
  return Json::object({{"Type", type_of(before, after, parts.changed)},
                       {"ID", before ? before->id : after->id},
                       {"Fields", std::move(parts.fields)},
                       {"Objects", std::move(parts.objects)},
                       {"TaskGroups", std::move(list)}});
}

// ------------------------------------------------------------------------------------- annotations

namespace {

void annotate_task(Json& task, std::string_view group_type) {
  const std::string type(task.get_string("Type"));
  if (type == kNone) return;
  const char* text = "forces create/destroy update";
  if (type == kAdded || group_type == kAdded) {
    text = "forces create";
  } else if (type == kDeleted || group_type == kDeleted) {
    text = "forces destroy";
  } else {
    bool destructive = false;
    for (const Json& field : task.find("Fields")->as_array()) {
      const std::string_view name = field.get_string("Name");
      if (field.get_string("Type") != kNone && name != "KillTimeout" && name != "KillSignal" &&
          name != "ShutdownDelay") {
        destructive = true;
      }
    }
    for (const Json& object : task.find("Objects")->as_array()) {
      const std::string_view name = object.get_string("Name");
      if (name != "LogConfig" && name != "Service" && name != "Constraint" &&
          name != "RestartPolicy") {
        destructive = true;
      }
    }
    if (!destructive) text = "forces in-place update";
  }
  task.set("Annotations", Json::array({text}));
}

}  // namespace

void annotate(Json& diff, const std::map<std::string, DesiredUpdates>& desired) {
  for (Json& group : diff.find("TaskGroups")->as_array()) {
    const std::string type(group.get_string("Type"));
    if (const auto found = desired.find(std::string(group.get_string("Name")));
        found != desired.end()) {
      const DesiredUpdates& d = found->second;
      Json updates = Json::object();
      const auto say = [&](const char* name, int64_t count) {
        if (count != 0) updates.set(name, count);
      };
      say("ignore", d.ignore);
      say("create", d.place);
      say("migrate", d.migrate);
      say("destroy", d.stop);
      say("in-place update", d.in_place_update);
      say("create/destroy update", d.destructive_update);
      say("canary", d.canary);
      group.set("Updates", std::move(updates));
    }
    for (Json& field : group.find("Fields")->as_array()) {
      if (field.get_string("Name") != "Count" || type != kEdited) continue;
      const int64_t before =
          std::strtoll(std::string(field.get_string("Old")).c_str(), nullptr, 10);
      const int64_t after = std::strtoll(std::string(field.get_string("New")).c_str(), nullptr, 10);
      if (before == after) continue;
      field.set("Annotations", Json::array({before < after ? "forces create" : "forces destroy"}));
    }
    for (Json& task : group.find("Tasks")->as_array()) annotate_task(task, type);
  }
}

}  // namespace sluice::orchestrator
