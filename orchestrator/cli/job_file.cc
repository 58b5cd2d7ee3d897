#include "orchestrator/cli/job_file.h"

#include <fmt/format.h>

#include <cstdlib>

#include "core/random.h"
#include "orchestrator/job_hcl.h"

extern char** environ;

namespace sluice::orchestrator::cli {
namespace {

constexpr std::string_view kVariablePrefix = "NOMAD_VAR_";

constexpr FlagSpec kFlags[] = {
    {"var", FlagSpec::Kind::kValue, "name=value: sets a variable of the job file; may be repeated"},
    {"var-file", FlagSpec::Kind::kValue, "a file of variables; may be repeated"},
    {"hcl1", FlagSpec::Kind::kBool, "accepted; both generations of the language are read"},
    {"hcl2-strict", FlagSpec::Kind::kBool, "accepted"},
    {"json", FlagSpec::Kind::kBool, "the job file is JSON (seen by itself, too)"},
};

Result<JobHclOptions> hcl_options(Session& session) {
  JobHclOptions options;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (!text.starts_with(kVariablePrefix) || equals == std::string_view::npos) continue;
    options.environment.push_back(
        {std::string(text.substr(kVariablePrefix.size(), equals - kVariablePrefix.size())),
         std::string(text.substr(equals + 1))});
  }
  for (const std::string& path : session.flags().all("var-file")) {
    Result<std::string> text = session.env().disk.read_file(path, kJobFileBytes);
    if (!text) return pass(text, "-var-file {}", path);
    options.var_files.push_back({path, std::move(*text)});
  }
  for (const std::string& pair : session.flags().all("var")) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(Code::kInvalid, "-var {}: expected name=value", quoted(pair));
    }
    options.vars.push_back({pair.substr(0, equals), pair.substr(equals + 1)});
  }
  return options;
}

Json submission_of(const std::string& text, const JobHclOptions& options) {
  Json flags = Json::object();
  for (const auto& from : {&options.environment, &options.vars}) {
    for (const auto& variable : *from) flags.set(variable.name, variable.text);
  }
  std::string variables;
  for (const auto& from : options.var_files) {
    variables += from.text;
    if (!variables.ends_with('\n')) variables += '\n';
  }
  return Json::object({{"Format", "hcl2"},
                       {"Source", text},
                       {"VariableFlags", std::move(flags)},
                       {"Variables", std::move(variables)}});
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool looks_like_json(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

}  // namespace

std::span<const FlagSpec> job_file_flags() {
  return kFlags;
}

std::string job_file_arguments(const Flags& flags) {
  std::string out;
  for (const std::string& value : flags.all("var")) out += "-var=" + quoted(value) + " ";
  for (const std::string& value : flags.all("var-file")) out += "-var-file=" + quoted(value) + " ";
  return out;
}

Result<Json> read_job_file(Session& session, const std::string& path) {
  Result<JobFile> file = read_whole_job_file(session, path);
  if (!file) return pass(file);
  return std::move(file->job);
}

Result<JobFile> read_whole_job_file(Session& session, const std::string& path) {
  Result<std::string> text = path == "-" ? session.env().terminal.read_all(kJobFileBytes)
                                         : session.env().disk.read_file(path, kJobFileBytes);
  if (!text) return pass(text);
  Json whole;
  JobFile file;
  if (session.flags().is_on("json") || looks_like_json(*text)) {
    Result<Json> parsed = parse_json(*text);
    if (!parsed) return pass(parsed, "{}", path);
    whole = std::move(*parsed);
    file.submission = Json::object({{"Format", "json"}, {"Source", *text}});
  } else {
    Result<JobHclOptions> options = hcl_options(session);
    if (!options) return pass(options);
    SystemRandom random;
    const size_t slash = path.rfind('/');
    const hcl::FunctionHost host{
        .disk = &session.env().disk,
        .base_folder = slash == std::string::npos ? "." : path.substr(0, slash + 1),
        .working_folder = environment("PWD"),
        .home_folder = environment("HOME"),
        .random = &random};
    options->host = &host;
    Result<Json> parsed = parse_job_hcl(path == "-" ? "<stdin>" : path, *text, *options);
    if (!parsed) return pass(parsed);
    whole = std::move(*parsed);
    file.submission = submission_of(*text, *options);
  }
  Json* job = whole.find("Job");
  if (!job) job = whole.find("job");
  file.job = job && job->is_object() ? std::move(*job) : std::move(whole);
  if (file.job.get_string("ID").empty()) {
    return fail(Code::kInvalid, "{}: the job has no ID", path);
  }
  return file;
}

}  // namespace sluice::orchestrator::cli
