// Artifacts: what a task needs from elsewhere, fetched into its folder before it starts.
//
// Sources: http:// and https:// URLs, and git::URL where git is on the machine. Options: checksum
// (md5|sha1|sha256|sha512:HEX), archive (false keeps an archive as it is), filename; of git: ref,
// depth. Archives (.tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip) are unpacked by tar and unzip.
//
// Owner: the task's runner calls it. Thread: the control loop; programs and large reads are not on
// it. Limits: kMaxArtifactBytes, kFetchTimeoutMs each.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "core/task.h"
#include "orchestrator/node/context.h"
#include "orchestrator/node/task_env.h"

namespace sluice::orchestrator {

inline constexpr size_t kMaxArtifactBytes = size_t{1} << 30;
inline constexpr int64_t kFetchTimeoutMs = 30 * 60'000;

/// What an artifact's `source` and `options` say, taken apart.
struct ArtifactSource {
  enum class Kind : uint8_t { kHttp, kGit } kind = Kind::kHttp;
  bool tls = false;    // http
  std::string url;     // without the options that are ours
  std::string host;    // http
  uint16_t port = 80;  // http
  std::string target;  // http: path and query

  std::string name;  // the file's, from the URL's path or `filename`
  std::string checksum_kind, checksum;
  bool unpack = true;
  std::string ref;
  int64_t depth = 0;
};
/// Pure. kUnsupported: a source of another kind, by name.
Result<ArtifactSource> parse_artifact(std::string_view source, const StringMap& options);

Task<Result<void>> fetch_artifact(NodeContext& context, Artifact artifact, TaskFolders folders,
                                  const TaskEnv& environment);

}  // namespace sluice::orchestrator
