// `operator snapshot save` and `operator snapshot restore`, and `operator recover`.
#include <fmt/format.h>

#include "orchestrator/cli/command.h"

namespace sluice::orchestrator::cli {
namespace {

constexpr size_t kSnapshotBytes = 16 * 1024 * 1024;  // what the API takes
constexpr uint32_t kFileMode = 0600;                 // it holds tokens

Task<int> save(Session& session) {
  auto exchange = co_await session.stream("/v1/operator/snapshot");
  if (!exchange) co_return session.error("saving the snapshot", exchange.error());
  Result<std::string> text = co_await (*exchange)->read_all(kSnapshotBytes);
  if (!text) co_return session.error("saving the snapshot", text.error());
  const auto& words = session.flags().words();
  const std::string path = words.empty() ? "sluice-state.snap" : words[0];
  Result<void> written = session.env().disk.write_file(path, *text, kFileMode);
  if (!written) co_return session.error("writing the snapshot", written.error());
  session.print(fmt::format("State file written to {}", path));
  co_return 0;
}

Task<int> restore(Session& session) {
  const std::string& path = session.flags().words()[0];
  Result<std::string> text = session.env().disk.read_file(path, kSnapshotBytes);
  if (!text) co_return session.error("reading the snapshot", text.error());
  HttpRequest request = session.request("PUT", "/v1/operator/snapshot", {});
  request.body = *std::move(text);
  request.headers.add("Content-Type", "application/octet-stream");
  Result<HttpResponse> response = co_await session.client().send(std::move(request));
  if (!response) co_return session.error("restoring the snapshot", response.error());
  if (response->status != 200) {
    co_return session.error(
        fmt::format("Error restoring the snapshot: {} ({})", response->body, response->status));
  }
  session.print("Snapshot Restored");
  co_return 0;
}

Task<int> recover(Session& session) {
  Result<ApiReply> reply = co_await session.put("/v1/operator/recover", Json::object());
  if (!reply) co_return session.error("recovering", reply.error());
  session.print(fmt::format("Recovered {} jobs with {} allocations; the store is of cluster {} now",
                            reply->body.get_int("Jobs"), reply->body.get_int("Allocations"),
                            reply->body.get_string("ClusterID")));
  const Json* missing = reply->body.find("MissingParents");
  for (size_t i = 0; missing != nullptr && i < missing->size(); ++i) {
    const Json& parent = missing->as_array()[i];
    session.print(fmt::format(
        "Job \"{}\" (namespace {}), the parent of {} of them, is not known: register it again",
        parent.get_string("ID"), parent.get_string("Namespace"), parent.get_int("Children")));
  }
  session.print(
      "What leaves nothing on a node is not among them: access tokens and policies, jobs without "
      "allocations.\n`sluice operator snapshot restore` brings that back.");
  co_return 0;
}

constexpr Command kCommands[] = {
    {.name = "operator snapshot save",
     .usage = "[<file>]",
     .summary = "Save jobs, nodes' eligibility and access records to a file",
     .help = "The file holds access tokens: keep it as they are kept.",
     .flags = {},
     .run = save,
     .max_words = 1},
    {.name = "operator snapshot restore",
     .usage = "<file>",
     .summary = "Make the jobs what they were when the file was saved",
     .help = "Each job that differs gets a new version; jobs of later are stopped.",
     .flags = {},
     .run = restore,
     .min_words = 1,
     .max_words = 1},
    {.name = "operator recover",
     .summary = "Take what runs on this agent's node into a store that does not know it",
     .help = "For when the server's state was lost or replaced. Until then nothing is started or\n"
             "stopped on the node. What has nothing on the node (jobs that never ran here, access\n"
             "tokens) is not known to it: `operator snapshot restore` brings that back.",
     .flags = {},
     .run = recover},
};

}  // namespace

std::span<const Command> snapshot_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
