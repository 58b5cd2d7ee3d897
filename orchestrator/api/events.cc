// What happens, as it happens: /v1/event/stream, and the counts of /v1/metrics.
#include <fmt/format.h>

#include <algorithm>

#include "core/scope.h"
#include "orchestrator/api/call.h"
#include "orchestrator/api/metrics_text.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/fields_json.h"

namespace sluice::orchestrator::api {
namespace {

using TopicKind = Topic::Kind;

constexpr int64_t kHeartbeatMs = 10'000;
constexpr uint64_t kCommitsBefore = 100;  // that a stream begins with, as Nomad's buffer holds
constexpr int64_t kCoalesceMs = 50;       // commits that come close together are looked for once

// --------------------------------------------------------------------------------- stream

struct Happened {
  uint64_t index;
  std::string text;
};

/// What a client asked for: "Job:web", "Allocation", "*".
struct Wanted {
  std::vector<std::pair<std::string, std::string>> topics;  // empty: all
  std::string space;
  uint64_t after = 0;

  [[nodiscard]] bool has(std::string_view topic, std::string_view key,
                         std::string_view other_key = {}) const {
    for (const auto& [name, id] : topics) {
      if (name != "*" && name != topic) continue;
      if (id == "*" || id == key || (!other_key.empty() && id == other_key)) return true;
    }
    return topics.empty();
  }
};

Result<Wanted> read_wanted(const Call& call) {
  Wanted wanted;
  wanted.space = call.query("namespace", "default");
  for (const auto& [name, value] : call.request().query) {
    if (name != "topic") continue;
    const size_t colon = value.find(':');
    if (colon != std::string::npos && value.find(':', colon + 1) != std::string::npos) {
      return fail(Code::kInvalid,
                  "error parsing topics: Invalid key value pair for topic, topic: {}", value);
    }
    wanted.topics.emplace_back(value.substr(0, colon),
                               colon == std::string::npos ? "*" : value.substr(colon + 1));
  }
  return wanted;
}

template <class Write>
Happened make_event(std::string_view topic, std::string_view type, std::string_view key,
                    std::string_view space, std::string_view member, uint64_t index, Write write) {
  Happened event{index, {}};
  JsonWriter out(event.text);
  out.begin_object();
  out.member("Topic", topic).member("Type", type).member("Key", key).member("Namespace", space);
  out.key("FilterKeys").null();
  out.member("Index", index);
  out.key("Payload").begin_object().key(member);
  write(out);
  out.end_object().end_object();
  return event;
}

/// An event for each record that changed behind `after`, in the order of the commits. On the pool.
std::vector<Happened> events_after(const Snapshot& snapshot, const Wanted& wanted, uint64_t after) {
  const Tables& tables = snapshot.tables();
  std::vector<Happened> events;
  const auto in_space = [&](const std::string& space) {
    return wanted.space == kAnyNamespace || space == wanted.space;
  };
  const auto add = [&](std::string_view topic, std::string_view type, std::string_view key,
                       std::string_view space, uint64_t index, auto write) {
    events.push_back(make_event(topic, type, key, space, topic, index, write));
  };
  tables.jobs.each([&](const JobPtr& job) {
    if (job->modify_index <= after || !in_space(job->namespace_) || !wanted.has("Job", job->id)) {
      return;
    }
    add("Job", job->stop ? "JobDeregistered" : "JobRegistered", job->id, job->namespace_,
        job->modify_index,
        [&](JsonWriter& out) { write_job(out, *job, snapshot.job_status(*job), ""); });
  });
  tables.evals.each([&](const EvalPtr& eval) {
    if (eval->modify_index <= after || !in_space(eval->namespace_) ||
        !wanted.has("Evaluation", eval->id, eval->job_id)) {
      return;
    }
    add("Evaluation", "EvaluationUpdated", eval->id, eval->namespace_, eval->modify_index,
        [&](JsonWriter& out) { write_evaluation(out, *eval); });
  });
  tables.allocs.each([&](const AllocPtr& alloc) {
    if (alloc->modify_index <= after || !in_space(alloc->namespace_name()) ||
        !wanted.has("Allocation", alloc->id, alloc->job_id())) {
      return;
    }
    add("Allocation", "AllocationUpdated", alloc->id, alloc->namespace_name(), alloc->modify_index,
        [&](JsonWriter& out) { write_allocation(out, *alloc); });
  });
  tables.deployments.each([&](const DeploymentPtr& deployment) {
    if (deployment->modify_index <= after || !in_space(deployment->namespace_) ||
        !wanted.has("Deployment", deployment->id, deployment->job_id)) {
      return;
    }
    add("Deployment", "DeploymentStatusUpdate", deployment->id, deployment->namespace_,
        deployment->modify_index, [&](JsonWriter& out) { write_deployment(out, *deployment); });
  });
  tables.nodes.each([&](const NodePtr& node) {
    if (node->modify_index <= after || !wanted.has("Node", node->id)) return;
    add("Node", node->create_index == node->modify_index ? "NodeRegistration" : "NodeEvent",
        node->id, "", node->modify_index, [&](JsonWriter& out) { write_node(out, *node); });
  });
  std::sort(events.begin(), events.end(),
            [](const Happened& a, const Happened& b) { return a.index < b.index; });
  return events;
}

/// One line of JSON a commit.
std::string lines_of(const std::vector<Happened>& events) {
  std::string text;
  for (size_t i = 0; i < events.size();) {
    JsonWriter out(text);
    out.begin_object().member("Index", events[i].index).key("Events").begin_array();
    const uint64_t index = events[i].index;
    for (; i < events.size() && events[i].index == index; ++i) out.raw(events[i].text);
    out.end_array().end_object();
    text += '\n';
  }
  return text;
}

/// Waits until any record changed behind `after`; false: not within the heartbeat's time.
Task<bool> wait_for_change(Call& call, uint64_t after) {
  Event changed(call.executor());
  Scope waits(call.executor());
  const auto wait_one = [](Server& server, TopicKind kind, uint64_t index,
                           Event& event) -> Task<void> {
    co_await server.wait(Topic{kind, {}, {}}, index, kHeartbeatMs);
    event.set();
  };
  for (const TopicKind kind : {TopicKind::kJobs, TopicKind::kEvals, TopicKind::kAllocs,
                               TopicKind::kDeployments, TopicKind::kNodes}) {
    waits.spawn(wait_one(call.server(), kind, after, changed));
  }
  co_await changed.wait();
  waits.cancel_all();
  co_return call.server().snapshot().index() > after;
}

Task<void> stream(Call& call) {
  Result<Wanted> asked_for = read_wanted(call);
  if (!asked_for) {
    co_await call.refuse(asked_for.error());
    co_return;
  }
  const Wanted wanted = *std::move(asked_for);
  uint64_t after = call.server().snapshot().index();
  uint64_t asked = 0;
  http1::parse_length(call.query("index"), asked);  // a number: any call's is looked at
  after = asked > 0 ? std::min(after, asked - 1) : after - std::min(after, kCommitsBefore);
  HttpResponseWriter& writer = call.writer();
  writer.cancel_on_close();
  if (!co_await writer.start(200, "application/json")) co_return;
  while (true) {
    if (!co_await wait_for_change(call, after)) {
      if (!co_await writer.write("{}\n")) co_return;
      continue;
    }
    co_await sleep_for(call.executor(), kCoalesceMs);
    const Snapshot snapshot = call.server().snapshot();
    auto work = [snapshot, wanted, after] {
      return lines_of(events_after(snapshot, wanted, after));
    };
    const std::string text = co_await on_pool(call.executor(), std::move(work));
    after = snapshot.index();
    if (!text.empty() && !co_await writer.write(text)) co_return;
  }
}

// -------------------------------------------------------------------------------- metrics

std::vector<Gauge> gauges_of(const Snapshot& snapshot) {
  std::vector<Gauge> gauges;
  int64_t ready = 0, down = 0, draining = 0;
  snapshot.tables().nodes.each([&](const NodePtr& node) {
    (node->status == NodeStatus::kReady ? ready : down) += 1;
    if (node->drain) ++draining;
  });
  int64_t allocs[kClientStatusCount] = {};
  snapshot.tables().allocs.each(
      [&](const AllocPtr& alloc) { ++allocs[static_cast<size_t>(alloc->client_status)]; });
  int64_t blocked = 0, pending = 0;
  snapshot.tables().evals.each([&](const EvalPtr& eval) {
    if (eval->status == EvalStatus::kBlocked) ++blocked;
    if (eval->status == EvalStatus::kPending) ++pending;
  });
  const auto add = [&](std::string name, auto value) {
    gauges.push_back({std::move(name), static_cast<double>(value), {}});
  };
  add("nomad.nomad.nodes.ready", ready);
  add("nomad.nomad.nodes.down", down);
  add("nomad.nomad.nodes.draining", draining);
  for (size_t i = 0; i < kClientStatusCount; ++i) {
    add(fmt::format("nomad.client.allocations.{}", to_string(static_cast<ClientStatus>(i))),
        allocs[i]);
  }
  add("nomad.nomad.broker.total_ready", pending);
  add("nomad.nomad.blocked_evals.total_blocked", blocked);
  add("nomad.nomad.jobs.total", snapshot.tables().jobs.size());
  add("nomad.nomad.deployments.total", snapshot.tables().deployments.size());
  add("nomad.nomad.state.index", snapshot.index());
  snapshot.tables().jobs.each([&](const JobPtr& job) {
    for (const auto& [group, sums] : snapshot.job_summary(*job)) {
      const std::pair<const char*, int64_t> counts[] = {
          {"queued", sums.queued}, {"starting", sums.starting}, {"running", sums.running},
          {"failed", sums.failed}, {"complete", sums.complete}, {"lost", sums.lost}};
      for (const auto& [name, value] : counts) {
        gauges.push_back(
            {fmt::format("nomad.nomad.job_summary.{}", name),
             static_cast<double>(value),
             {{"job", job->id}, {"namespace", job->namespace_}, {"task_group", group}}});
      }
    }
  });
  return gauges;
}

Task<void> metrics(Call& call) {
  const Snapshot snapshot = call.server().snapshot();
  call.set_index(snapshot.index());
  auto work = [snapshot] {
    std::vector<Gauge> gauges = gauges_of(snapshot);
    std::sort(gauges.begin(), gauges.end(), [](const Gauge& a, const Gauge& b) {
      return a.name != b.name ? a.name < b.name : a.labels < b.labels;
    });
    return gauges;
  };
  std::vector<Gauge> gauges = co_await on_pool(call.executor(), std::move(work));
  if (call.query("format") == "prometheus") {
    (void)co_await call.writer().respond(200, "text/plain; version=0.0.4; charset=utf-8",
                                         prometheus_metrics(gauges, call.parts().options.metrics));
    co_return;
  }
  co_await call.reply(
      json_metrics(gauges, call.parts().options.metrics, call.executor().wall_ns()));
}

constexpr Route kRoutes[] = {
    {"GET", "/v1/event/stream", stream},
    {"GET", "/v1/metrics", metrics},
};

}  // namespace

std::span<const Route> event_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
