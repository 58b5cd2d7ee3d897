#include "orchestrator/node/artifacts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>

#include "core/ascii.h"
#include "core/digest.h"
#include "core/fd.h"
#include "core/http_client.h"
#include "core/resolve.h"
#include "core/scope.h"
#include "core/tls/network.h"
#include "orchestrator/node/task_files.h"

namespace sluice::orchestrator {

namespace {

constexpr int kMaxRedirects = 10;
constexpr int64_t kResponseTimeoutMs = 60'000;
constexpr size_t kSaidBytes = 4 * 1024;
constexpr std::string_view kPath = "PATH=/usr/local/bin:/usr/bin:/bin";

struct Archive {
  std::string_view ending;
  std::vector<std::string> command;  // the file and the folder come behind it
};

/// How a file of that name is unpacked; nullptr: it is no archive.
const Archive* archive_of(std::string_view name) {
  static const std::vector<Archive> kArchives = {
      {".tar.gz", {"tar", "-xzf"}}, {".tgz", {"tar", "-xzf"}},       {".tar.bz2", {"tar", "-xjf"}},
      {".tbz2", {"tar", "-xjf"}},   {".tar.xz", {"tar", "-xJf"}},    {".txz", {"tar", "-xJf"}},
      {".tar", {"tar", "-xf"}},     {".zip", {"unzip", "-q", "-o"}},
  };
  for (const Archive& archive : kArchives) {
    if (name.ends_with(archive.ending)) return &archive;
  }
  return nullptr;
}

Result<void> take_option(ArtifactSource& made, std::string_view key, std::string_view value) {
  if (key == "checksum") {
    const size_t colon = value.find(':');
    made.checksum_kind = value.substr(0, colon);
    made.checksum = colon == std::string_view::npos ? "" : value.substr(colon + 1);
    const bool known = made.checksum_kind == "md5" || made.checksum_kind == "sha1" ||
                       made.checksum_kind == "sha256" || made.checksum_kind == "sha512";
    if (!known || made.checksum.empty()) {
      return fail(Code::kInvalid,
                  "artifact: checksum \"{}\": expected md5:, sha1:, sha256: or sha512: and hex "
                  "digits",
                  value);
    }
    made.checksum = ascii::lower(made.checksum);
  } else if (key == "archive") {
    if (value != "false" && value != "true") {
      return fail(Code::kUnsupported, "artifact: archive \"{}\": true and false are supported",
                  value);
    }
    made.unpack = value == "true";
  } else if (key == "filename") {
    made.name = value;
  } else if (key == "ref") {
    made.ref = value;
  } else if (key == "depth") {
    const auto [end, error] =
        std::from_chars(value.data(), value.data() + value.size(), made.depth);
    if (error != std::errc() || end != value.data() + value.size() || made.depth < 0) {
      return fail(Code::kInvalid, "artifact: depth \"{}\" is no number", value);
    }
  } else {
    return fail(Code::kUnsupported, "artifact: the option \"{}\" is not supported", key);
  }
  return {};
}

bool is_option(std::string_view key) {
  return key == "checksum" || key == "archive" || key == "filename" || key == "ref" ||
         key == "depth";
}

Result<void> split_http(ArtifactSource& made) {
  made.tls = made.url.starts_with("https://");
  if (made.tls) made.port = 443;
  std::string_view rest = std::string_view(made.url).substr(made.url.find("://") + 3);
  const size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view authority = rest.substr(0, slash);
  made.target = slash < rest.size() ? rest.substr(slash) : "/";
  if (authority.find('@') != std::string_view::npos) {
    return fail(Code::kUnsupported, "artifact: a user in the URL is not supported; use headers");
  }
  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
    const std::string_view port = authority.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), made.port);
    if (error != std::errc() || end != port.data() + port.size() || made.port == 0) {
      return fail(Code::kInvalid, "artifact: the port in {} is none", made.url);
    }
    authority = authority.substr(0, colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']')) {
    authority = authority.substr(1, authority.size() - 2);
  }
  made.host = authority;
  if (made.host.empty()) return fail(Code::kInvalid, "artifact: no host in {}", made.url);
  return {};
}

/// The last part of the URL's path.
std::string file_name(std::string_view target) {
  target = target.substr(0, target.find('?'));
  std::string name(target.substr(target.rfind('/') + 1));
  return name.empty() || name == "." || name == ".." ? "artifact" : name;
}

// ---- http ----

class FileSink {
 public:
  explicit FileSink(std::string path)
      : path_(std::move(path)),
        fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)) {}
  [[nodiscard]] bool good() const { return bool(fd_); }
  Result<void> write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t put = ::write(fd_.get(), bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return fail_errno(errno, path_);
      bytes.remove_prefix(static_cast<size_t>(put));
    }
    return {};
  }

 private:
  std::string path_;
  Fd fd_;
};

/// One request; a redirect's target comes back in `redirect`.
Task<Result<void>> download(NodeContext& context, const ArtifactSource& from,
                            const Artifact& artifact, const std::string& into,
                            std::string& redirect) {
  const std::string name =
      from.host.find(':') == std::string::npos ? from.host : "[" + from.host + "]";
  Result<Address> at =
      co_await resolve(context.env.executor, fmt::format("{}:{}", name, from.port));
  if (!at) co_return pass(at);
  if (from.tls && !context.tls) co_return fail(Code::kUnsupported, "GET {}: no TLS", from.url);
  tls::TlsNetwork secure(context.env.executor, context.env.network, context.tls, from.host,
                         artifact.insecure);
  sluice::Network& plain = context.env.network;
  sluice::Network& network = from.tls ? secure : plain;
  const bool usual = from.port == (from.tls ? 443 : 80);
  const std::string host = usual ? name : fmt::format("{}:{}", name, from.port);
  HttpClient client(context.env.executor, network, *at,
                    {.host = host,
                     .connect_timeout_ms = 10'000,
                     .response_timeout_ms = kResponseTimeoutMs,
                     .kept_connections = 0});
  HttpRequest request{.method = "GET", .target = from.target, .headers = {}, .body = {}};
  for (const auto& [header, value] : artifact.headers) request.headers.add(header, value);
  Result<std::unique_ptr<HttpExchange>> exchange = co_await client.open(std::move(request));
  if (!exchange) co_return pass(exchange, "GET {}", from.url);
  const int status = (*exchange)->status();
  if (status >= 300 && status < 400) {
    const std::string* location = (*exchange)->headers().find("Location");
    if (location == nullptr)
      co_return fail(Code::kInvalid, "GET {}: {} to nowhere", from.url, status);
    redirect = *location;
    co_return Result<void>();
  }
  if (status != 200) {
    co_return fail(status >= 500 ? Code::kUnavailable : Code::kNotFound, "GET {}: status {}",
                   from.url, status);
  }
  FileSink file(into);
  if (!file.good()) co_return fail_errno(errno, into);
  size_t total = 0;
  for (;;) {
    Result<std::string> piece =
        co_await with_timeout(context.env.executor, kResponseTimeoutMs, (*exchange)->read());
    if (!piece) co_return pass(piece, "GET {}", from.url);
    if (piece->empty()) co_return Result<void>();
    total += piece->size();
    if (total > kMaxArtifactBytes) {
      co_return fail(Code::kLimit, "GET {}: longer than {} bytes", from.url, kMaxArtifactBytes);
    }
    Result<void> written = file.write(*piece);
    if (!written) co_return written;
  }
}

/// What the job says in headers is for the server that it names, and only behind the same TLS.
Task<Result<void>> download_following(NodeContext& context, ArtifactSource from, Artifact artifact,
                                      const std::string& into) {
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    std::string redirect;
    Result<void> done = co_await download(context, from, artifact, into, redirect);
    if (!done || redirect.empty()) co_return done;
    if (redirect.starts_with('/')) {
      from.target = redirect;
      continue;
    }
    Result<ArtifactSource> next = parse_artifact(redirect, {});
    if (!next) co_return pass(next, "redirect");
    if (next->kind != ArtifactSource::Kind::kHttp) {
      co_return fail(Code::kInvalid, "redirect to {}", redirect);
    }
    const bool same = next->host == from.host && next->port == from.port && next->tls == from.tls;
    if (!same) artifact.headers.clear();
    from = *std::move(next);
  }
  co_return fail(Code::kLimit, "GET {}: more than {} redirects", from.url, kMaxRedirects);
}

Result<void> check_sum(const std::string& path, const ArtifactSource& source) {
  if (source.checksum.empty()) return {};
  PosixDisk disk;
  Result<std::string> bytes = disk.read_file(path, kMaxArtifactBytes);
  if (!bytes) return pass(bytes);
  const DigestKind kind = source.checksum_kind == "md5"      ? DigestKind::kMd5
                          : source.checksum_kind == "sha1"   ? DigestKind::kSha1
                          : source.checksum_kind == "sha256" ? DigestKind::kSha256
                                                             : DigestKind::kSha512;
  const std::string found = to_hex(digest(kind, *bytes));
  if (found == source.checksum) return {};
  return fail(Code::kInvalid, "{}: checksum {}:{} was wanted, this file's is {}", source.url,
              source.checksum_kind, source.checksum, found);
}

Task<Result<void>> run_tool(NodeContext& context, std::vector<std::string> argv,
                            const std::string& folder) {
  if (context.env.processes == nullptr) {
    co_return fail(Code::kUnsupported, "{}: no programs can be run here", argv[0]);
  }
  const std::string name = argv[0];
  ProcessSpec spec{.argv = std::move(argv),
                   .env = {std::string(kPath), "GIT_TERMINAL_PROMPT=0", "HOME=/nonexistent",
                           "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C"},
                   .folder = folder};
  Result<ProcessOutput> output = co_await run_process(*context.env.processes, context.env.executor,
                                                      std::move(spec), kFetchTimeoutMs, kSaidBytes);
  if (!output) co_return pass(output);
  if (output->exit.code != 0) {
    std::string said = output->errors.empty() ? output->output : output->errors;
    while (said.ends_with('\n')) said.pop_back();
    co_return fail(Code::kInvalid, "{} ended with {}: {}", name, output->exit.code, said);
  }
  co_return Result<void>();
}

/// Into a folder of our own first, so that what is not whole or not right is never where the task
/// looks.
Task<Result<void>> fetch_http(NodeContext& context, const Artifact& artifact,
                              const ArtifactSource& source, const std::string& work,
                              const std::string& destination, bool as_file) {
  const std::string file = work + "/download";
  Result<void> done = co_await download_following(context, source, artifact, file);
  if (!done) co_return done;
  auto check = [file, source] { return check_sum(file, source); };
  done = co_await on_pool(context.env.executor, check);
  if (!done) co_return done;
  const Archive* archive = source.unpack && !as_file ? archive_of(source.name) : nullptr;
  if (archive == nullptr) {
    const std::string target = as_file ? destination : destination + "/" + source.name;
    if (::rename(file.c_str(), target.c_str()) != 0) co_return fail_errno(errno, target);
    co_return Result<void>();
  }
  std::vector<std::string> argv = archive->command;
  argv.push_back(file);
  if (archive->command[0] == "tar") {
    argv.insert(argv.end(), {"--no-same-owner", "-C", destination});
  } else {
    argv.insert(argv.end(), {"-d", destination});
  }
  co_return co_await run_tool(context, std::move(argv), work);
}

Task<Result<void>> fetch_git(NodeContext& context, const ArtifactSource& source,
                             const std::string& work, const std::string& destination) {
  std::vector<std::string> clone{"git", "clone", "--quiet"};
  if (source.depth > 0) clone.insert(clone.end(), {"--depth", fmt::to_string(source.depth)});
  if (source.depth > 0 && !source.ref.empty()) clone.insert(clone.end(), {"--branch", source.ref});
  clone.insert(clone.end(), {"--", source.url, destination});
  Result<void> done = co_await run_tool(context, std::move(clone), work);
  if (!done || source.ref.empty() || source.depth > 0) co_return done;
  co_return co_await run_tool(
      context, {"git", "-C", destination, "checkout", "--quiet", "--detach", source.ref, "--"},
      work);
}

}  // namespace

Result<ArtifactSource> parse_artifact(std::string_view source, const StringMap& options) {
  ArtifactSource made;
  std::string_view url = source;
  if (url.starts_with("git::")) {
    made.kind = ArtifactSource::Kind::kGit;
    url.remove_prefix(5);
  } else if (!url.starts_with("http://") && !url.starts_with("https://")) {
    return fail(Code::kUnsupported,
                "artifact: source \"{}\" is not supported; http://, https:// and git:: are",
                source);
  }
  // Options of ours may stand in the URL's query, as in Nomad; the others are the server's.
  const size_t mark = url.find('?');
  made.url = url.substr(0, mark);
  std::string kept;
  std::string_view query =
      mark == std::string_view::npos ? std::string_view() : url.substr(mark + 1);
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view item = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const size_t equals = std::min(item.find('='), item.size());
    if (!is_option(item.substr(0, equals))) {
      kept += (kept.empty() ? "?" : "&") + std::string(item);
      continue;
    }
    const std::string value = percent_decode(item.substr(std::min(equals + 1, item.size())), false);
    if (auto ok = take_option(made, item.substr(0, equals), value); !ok) return pass(ok);
  }
  made.url += kept;
  for (const auto& [key, value] : options) {
    if (auto ok = take_option(made, key, value); !ok) return pass(ok);
  }
  if (made.kind == ArtifactSource::Kind::kGit) {
    const bool known = made.url.starts_with("https://") || made.url.starts_with("http://") ||
                       made.url.starts_with("ssh://") || made.url.starts_with("git@") ||
                       made.url.starts_with("file://");
    // What begins with a dash would be an option of git's, and `ext::` runs a command.
    if (!known || made.ref.starts_with('-')) {
      return fail(Code::kUnsupported, "artifact: source \"{}\" is not supported by git here",
                  source);
    }
    if (!made.checksum.empty()) {
      return fail(Code::kUnsupported, "artifact: a checksum of a git repository is not supported");
    }
    return made;
  }
  if (!made.ref.empty() || made.depth > 0) {
    return fail(Code::kInvalid, "artifact: ref and depth are for git:: sources");
  }
  if (auto ok = split_http(made); !ok) return pass(ok);
  if (made.name.empty()) made.name = file_name(made.target);
  if (made.name.find('/') != std::string::npos || made.name == "." || made.name == "..") {
    return fail(Code::kInvalid, "artifact: filename \"{}\" is no file's name", made.name);
  }
  return made;
}

Task<Result<void>> fetch_artifact(NodeContext& context, Artifact artifact, TaskFolders folders,
                                  const TaskEnv& environment) {
  StringMap options;
  for (const auto& [key, value] : artifact.options) options[key] = environment.expand(value);
  Result<ArtifactSource> source = parse_artifact(environment.expand(artifact.source), options);
  if (!source) co_return pass(source);
  for (auto& [name, value] : artifact.headers) value = environment.expand(value);
  Result<TaskPath> place =
      task_path(folders.task, folders.alloc, environment.expand(artifact.destination));
  if (!place) co_return pass(place, "artifact destination");
  const bool as_file = artifact.mode == "file";
  TaskPath folder = *place;
  if (as_file) {
    const size_t slash = std::min(folder.below.rfind('/'), folder.below.size());
    folder.below.resize(slash == folder.below.size() ? 0 : slash);
  }
  Result<void> made = make_folder_inside(folder, 0755);
  if (!made) co_return made;
  const std::string work = folders.task + "/tmp/.artifact";
  Disk& disk = context.env.disk;
  if (auto gone = disk.remove_tree(work); !gone) co_return gone;
  if (auto there = disk.make_folders(work, 0700); !there) co_return there;
  Result<void> fetched =
      source->kind == ArtifactSource::Kind::kGit
          ? co_await fetch_git(context, *source, work, place->whole())
          : co_await fetch_http(context, artifact, *source, work, place->whole(), as_file);
  if (auto gone = disk.remove_tree(work); !gone) co_return gone;
  co_return fetched;
}

}  // namespace sluice::orchestrator
