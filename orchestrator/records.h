// Records: what the cluster's state is made of (orchestrator/state.h holds them), a header each;
// and their form in Nomad's API.
//
// Owner: the control loop's State. A record in a snapshot is shared_ptr<const ...>: it never
// changes, a newer one takes its place; so any thread may read it. Every record carries the index
// of the commit that made it (create_index) and of the one that last changed it (modify_index).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/result.h"
#include "orchestrator/fields.h"
#include "orchestrator/job.h"
#include "orchestrator/record_allocation.h"
#include "orchestrator/record_deployment.h"
#include "orchestrator/record_evaluation.h"
#include "orchestrator/record_job_extra.h"
#include "orchestrator/record_node.h"

namespace sluice::orchestrator {

/// Counts of a group's allocations, as `job status` prints them.
struct GroupSummary {
  int64_t queued = 0;
  int64_t starting = 0;
  int64_t running = 0;
  int64_t failed = 0;
  int64_t complete = 0;
  int64_t lost = 0;
  int64_t unknown = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Queued", s.queued);
    v("Starting", s.starting);
    v("Running", s.running);
    v("Failed", s.failed);
    v("Complete", s.complete);
    v("Lost", s.lost);
    v("Unknown", s.unknown);
  }
  bool operator==(const GroupSummary&) const = default;
};
using JobSummary = std::map<std::string, GroupSummary>;  // by group

/// Counts of the jobs that a periodic or parameterized job has made.
struct JobChildren {
  int64_t pending = 0;
  int64_t running = 0;
  int64_t dead = 0;
  [[nodiscard]] int64_t live() const { return pending + running; }
};

/// `status`: "pending", "running", "dead" (Snapshot::job_status).
void write_job(JsonWriter& out, const Job& job, std::string_view status,
               std::string_view status_description);
/// An item of /v1/jobs.
void write_job_stub(JsonWriter& out, const Job& job, std::string_view status,
                    const JobSummary& summary, const JobChildren& children);
void write_job_summary(JsonWriter& out, const Job& job, const JobSummary& summary,
                       const JobChildren& children);
void write_node(JsonWriter& out, const Node& node);
/// An item of /v1/nodes.
struct NodeStubParts {
  bool resources = false;
  bool os = false;
};
void write_node_stub(JsonWriter& out, const Node& node, NodeStubParts parts);
void write_evaluation(JsonWriter& out, const Evaluation& eval);
/// /v1/allocation/:id, and (Nomad sends them whole) /v1/node/:id/allocations.
void write_allocation(JsonWriter& out, const Allocation& alloc);
/// Items of /v1/allocations, /v1/job/:id/allocations, ...
void write_allocation_stub(JsonWriter& out, const Allocation& alloc, bool with_resources = false);
void write_deployment(JsonWriter& out, const Deployment& deployment);
void write_alloc_metric(JsonWriter& out, const AllocMetric& metric);

/// The node's registration from its flat form, and out (the HTTP transport between machines).
Result<Node> decode_node(const Json& json);

}  // namespace sluice::orchestrator
