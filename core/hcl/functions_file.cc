// Functions of files. They see the folder of the job file and what is below it, through the host's
// Disk, and nothing where the host gives none (a server that parses for others).
#include <algorithm>

#include "core/base64.h"
#include "core/disk.h"
#include "core/hcl/functions_impl.h"
#include "core/hcl/path_glob.h"
#include "core/hcl/unicode.h"

namespace sluice::hcl {

namespace {

constexpr size_t kMaxFileBytes = 4u << 20;
constexpr size_t kMaxFound = 10'000;  // files that fileset looks at
constexpr int kMaxFolderDepth = 32;

// The path in full; kDenied outside of the job file's folder.
Result<std::string> inside(const std::string& path, const FunctionHost& host) {
  if (!host.disk) return fail(Code::kUnsupported, "files cannot be read here");
  std::string base = clean_path(host.base_folder);
  std::string full = path.starts_with('/') ? clean_path(path) : clean_path(base + "/" + path);
  std::string below = base == "/" ? base : base + "/";
  bool within = full == base || full.starts_with(below);
  // Cleaned paths without a leading ".." lie in the working folder.
  if (base == ".") within = !full.starts_with('/') && full != ".." && !full.starts_with("../");
  if (!within) {
    return fail(Code::kDenied, "\"{}\" is outside of the job file's folder {}", path, base);
  }
  return full;
}

Result<std::string> read(const Value& path, CallContext& context) {
  Result<std::string> full = inside(path.as_string(), context.host);
  if (!full) return full;
  Result<std::string> content = context.host.disk->read_file(*full, kMaxFileBytes);
  if (!content) return content;
  if (!context.budget.spend_bytes(content->size())) return too_much();
  return content;
}

Result<Value> file(Arguments arguments, CallContext& context) {
  Result<std::string> content = read(arguments[0], context);
  if (!content) return pass(content);
  if (!is_valid_utf8(*content)) {
    return fail(Code::kInvalid, "\"{}\" is no text (UTF-8); filebase64 reads any file",
                arguments[0].as_string());
  }
  return Value::string(std::move(*content));
}

Result<Value> filebase64(Arguments arguments, CallContext& context) {
  Result<std::string> content = read(arguments[0], context);
  if (!content) return pass(content);
  return Value::string(base64_encode(*content));
}

Result<Value> fileexists(Arguments arguments, CallContext& context) {
  Result<std::string> full = inside(arguments[0].as_string(), context.host);
  if (!full) return pass(full);
  if (!context.host.disk->exists(*full)) return Value::boolean(false);
  if (context.host.disk->list(*full)) {
    return fail(Code::kInvalid, "\"{}\" is a folder", arguments[0].as_string());
  }
  return Value::boolean(true);
}

// The files below a folder, by their paths from there.
Result<void> collect(Disk& disk, const std::string& folder, const std::string& below, int depth,
                     Budget& budget, std::vector<std::string>& out) {
  Result<std::vector<std::string>> names = disk.list(folder);
  if (!names) return pass(names);
  for (const std::string& name : *names) {
    if (!budget.spend_steps(1)) return too_much();
    std::string path = folder + "/" + name;
    std::string relative = below.empty() ? name : below + "/" + name;
    if (disk.list(path)) {
      if (depth == kMaxFolderDepth) continue;
      Result<void> collected = collect(disk, path, relative, depth + 1, budget, out);
      if (!collected) return collected;
      continue;
    }
    if (out.size() == kMaxFound) return fail(Code::kLimit, "more than {} files", kMaxFound);
    out.push_back(std::move(relative));
  }
  return {};
}

Result<Value> fileset(Arguments arguments, CallContext& context) {
  Result<std::string> folder = inside(arguments[0].as_string(), context.host);
  if (!folder) return pass(folder);
  std::vector<std::string> paths;
  if (context.host.disk->exists(*folder)) {
    Result<void> collected = collect(*context.host.disk, *folder, "", 0, context.budget, paths);
    if (!collected) return pass(collected);
  }
  Value::Items out;
  for (const std::string& path : paths) {
    if (!context.budget.spend_steps(1)) return too_much();
    Result<bool> matches = glob_matches(arguments[1].as_string(), path);
    if (!matches) return pass(matches);
    if (*matches) out.push_back(Value::string(path));
  }
  return Value::set(Type::string(), std::move(out));
}

Result<Value> basename(Arguments arguments, CallContext&) {
  std::string path = arguments[0].as_string();
  if (path.empty()) return Value::string(".");
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (path == "/") return Value::string("/");
  size_t slash = path.rfind('/');
  return Value::string(slash == std::string::npos ? path : path.substr(slash + 1));
}

Result<Value> dirname(Arguments arguments, CallContext&) {
  const std::string& path = arguments[0].as_string();
  size_t slash = path.rfind('/');
  return Value::string(clean_path(slash == std::string::npos ? "" : path.substr(0, slash + 1)));
}

Result<Value> abspath(Arguments arguments, CallContext& context) {
  const std::string& path = arguments[0].as_string();
  if (path.starts_with('/')) return Value::string(clean_path(path));
  if (context.host.working_folder.empty()) return fail(Code::kUnsupported, "not available here");
  return Value::string(clean_path(context.host.working_folder + "/" + path));
}

Result<Value> pathexpand(Arguments arguments, CallContext& context) {
  const std::string& path = arguments[0].as_string();
  if (!path.starts_with('~')) return Value::string(path);
  if (path.size() > 1 && path[1] != '/')
    return fail(Code::kInvalid, "only ~/ is expanded, no ~user");
  if (context.host.home_folder.empty()) return fail(Code::kUnsupported, "not available here");
  return Value::string(clean_path(context.host.home_folder + path.substr(1)));
}

}  // namespace

void add_file_functions(std::vector<Function>& out) {
  const Parameter path{"path", Type::string()};
  out.push_back({"file", {path}, false, file});
  out.push_back({"filebase64", {path}, false, filebase64});
  out.push_back({"fileexists", {path}, false, fileexists});
  out.push_back({"fileset", {path, {"pattern", Type::string()}}, false, fileset});
  out.push_back({"basename", {path}, false, basename});
  out.push_back({"dirname", {path}, false, dirname});
  out.push_back({"abspath", {path}, false, abspath});
  out.push_back({"pathexpand", {path}, false, pathexpand});
}

}  // namespace sluice::hcl
