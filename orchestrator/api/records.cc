// The calls on evaluations, allocations and deployments.
#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/api/call.h"
#include "orchestrator/api/list.h"
#include "orchestrator/api/routes.h"

namespace sluice::orchestrator::api {
namespace {

using TopicKind = Topic::Kind;

auto in_space(const std::string& space) {
  return
      [space](const auto& record) { return space == kAnyNamespace || record.namespace_ == space; };
}

void write_stub(JsonWriter& out, const Allocation& alloc) {
  write_allocation_stub(out, alloc);
}

// ---------------------------------------------------------------------------- evaluations

Task<void> list_evals(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kEvals, {}, {}}});
  const std::string space = call.space(), job = call.query("job"), status = call.query("status");
  co_await reply_list(
      call, snapshot.tables().evals,
      [space, job, status](const Evaluation& eval) {
        return (space == kAnyNamespace || eval.namespace_ == space) &&
               (job.empty() || eval.job_id == job) &&
               (status.empty() || to_string(eval.status) == status);
      },
      [](JsonWriter& out, const Evaluation& eval) { write_evaluation(out, eval); });
}

/// How many the list would have.
Task<void> count_evals(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kEvals, {}, {}}});
  Result<ListQuery> query = read_list_query(call);
  if (!query) {
    co_await call.refuse(query.error());
    co_return;
  }
  query->by_id = true;
  auto work = [evals = snapshot.tables().evals, query = *std::move(query), space = call.space()] {
    const auto items = select(evals, query, [&](const Evaluation& eval) {
      return space == kAnyNamespace || eval.namespace_ == space;
    });
    size_t count = 0;
    const auto write = [&](JsonWriter& out, const Evaluation& eval) {
      write_evaluation(out, eval);
    };
    ListPage page = write_page<Evaluation>(items, query, id_of<Evaluation>, write, &count);
    return std::pair(count, std::move(page.refusal));
  };
  const auto [count, refusal] = co_await on_pool(call.executor(), std::move(work));
  if (refusal) {
    co_await call.refuse(*refusal);
    co_return;
  }
  co_await call.reply_with(
      [&](JsonWriter& out) { out.begin_object().member("Count", count).end_object(); });
}

/// The evaluation with stubs of those that it came from and led to.
void write_with_related(JsonWriter& out, const Evaluation& eval, const Snapshot& snapshot) {
  std::string text;
  {
    JsonWriter one(text);
    write_evaluation(one, eval);
  }
  Result<Json> json = parse_json(text);
  CHECK(json);
  Json related = Json::array();
  const auto index = snapshot.of_job(eval.namespace_, eval.job_id);
  const auto add = [&](const EvalPtr& other) {
    if (other->id == eval.id) return;
    if (other->id != eval.next_eval && other->id != eval.previous_eval &&
        other->id != eval.blocked_eval && other->previous_eval != eval.id) {
      return;
    }
    related.push(Json::object({{"ID", other->id},
                               {"Priority", other->priority},
                               {"Type", other->type},
                               {"TriggeredBy", other->triggered_by},
                               {"Namespace", other->namespace_},
                               {"JobID", other->job_id},
                               {"NodeID", other->node_id},
                               {"DeploymentID", other->deployment_id},
                               {"Status", to_string(other->status)},
                               {"StatusDescription", other->status_description},
                               {"NextEval", other->next_eval},
                               {"PreviousEval", other->previous_eval},
                               {"BlockedEval", other->blocked_eval},
                               {"CreateIndex", other->create_index},
                               {"ModifyIndex", other->modify_index},
                               {"CreateTime", other->create_time_ns},
                               {"ModifyTime", other->modify_time_ns}}));
  };
  if (index) index->evals.each(add);
  json->set("RelatedEvals", std::move(related));
  out.value(*json);
}

Task<void> read_eval(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kEvals, call.param(0), {}}});
  const EvalPtr eval = snapshot.eval(call.param(0));
  if (!eval) {
    co_await call.refuse(404, "eval not found");
    co_return;
  }
  const bool related = call.query_on("related");
  co_await call.reply_with([&](JsonWriter& out) {
    if (related) {
      write_with_related(out, *eval, snapshot);
    } else {
      write_evaluation(out, *eval);
    }
  });
}

Task<void> eval_allocs(Call& call) {
  const std::string id = call.param(0);
  EvalPtr eval = call.server().snapshot().eval(id);
  const std::string space = eval ? eval->namespace_ : "default";
  const std::string job = eval ? eval->job_id : "";
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kOfJob, job, space}});
  const auto index = snapshot.of_job(space, job);
  co_await reply_list(
      call, index ? index->allocs : Table<Allocation>(),
      [id](const Allocation& alloc) { return alloc.eval_id == id; }, write_stub, true);
}

// ---------------------------------------------------------------------------- allocations

Task<void> list_allocs(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kAllocs, {}, {}}});
  const std::string space = call.space();
  const bool resources = call.query_on("resources");
  co_await reply_list(
      call, snapshot.tables().allocs,
      [space](const Allocation& alloc) {
        return space == kAnyNamespace || alloc.namespace_name() == space;
      },
      [resources](JsonWriter& out, const Allocation& alloc) {
        write_allocation_stub(out, alloc, resources);
      });
}

Task<void> read_alloc(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kAllocs, call.param(0), {}}});
  const AllocPtr alloc = snapshot.alloc(call.param(0));
  if (!alloc) {
    co_await call.refuse(404, "alloc not found");
    co_return;
  }
  co_await call.reply_with([&](JsonWriter& out) { write_allocation(out, *alloc); });
}

Task<void> stop_alloc(Call& call) {
  Result<EvalReply> reply =
      co_await call.server().stop_alloc(call.param(0), call.query_on("no_shutdown_delay"));
  if (!reply) {
    co_await call.refuse(reply.error());
    co_return;
  }
  co_await call.reply_eval(*reply);
}

/// Services that Nomad itself would hold; ours are in the catalog.
Task<void> alloc_services(Call& call) {
  return call.reply("[]");
}

bool holds_nomads(const std::vector<Service>& services) {
  return std::ranges::any_of(services,
                             [](const Service& service) { return service.provider == "nomad"; });
}

/// A job that wants its services from here, where they are not; "" where there is none.
std::string job_with_nomads_services(const Snapshot& snapshot) {
  std::string found;
  snapshot.tables().jobs.each([&](const JobPtr& job) {
    const bool holds = std::ranges::any_of(job->groups, [](const TaskGroup& group) {
      return holds_nomads(group.services) ||
             std::ranges::any_of(
                 group.tasks, [](const TaskConfig& task) { return holds_nomads(task.services); });
    });
    if (holds && !job->stop) found = job->id;
  });
  return found;
}

/// Nomad's own services are those of `provider = "nomad"`. Ours are all in the catalog, so there
/// are none here; who looks for such ones is told where they are.
Task<void> list_services(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kJobs, {}, {}}});
  const std::string job = job_with_nomads_services(snapshot);
  if (job.empty()) {
    co_await call.reply("[]");
    co_return;
  }
  co_await call.refuse(501,
                       fmt::format("the services of provider \"nomad\" (job \"{}\") are in the "
                                   "agent's catalog: ask Consul's calls for them (catalog "
                                   "http_addr, or Consul)",
                                   job));
}

// ---------------------------------------------------------------------------- deployments

Task<void> list_deployments(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kDeployments, {}, {}}});
  co_await reply_list(
      call, snapshot.tables().deployments, in_space(call.space()),
      [](JsonWriter& out, const Deployment& deployment) { write_deployment(out, deployment); },
      call.query("prefix").empty());
}

Task<void> read_deployment(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kDeployments, call.param(0), {}}});
  const DeploymentPtr deployment = snapshot.deployment(call.param(0));
  if (!deployment) {
    co_await call.refuse(404, "deployment not found");
    co_return;
  }
  co_await call.reply_with([&](JsonWriter& out) { write_deployment(out, *deployment); });
}

Task<void> deployment_allocs(Call& call) {
  const std::string id = call.param(0);
  DeploymentPtr deployment = call.server().snapshot().deployment(id);
  if (!deployment) {
    co_await call.refuse(404, "deployment not found");
    co_return;
  }
  Snapshot snapshot =
      co_await call.snapshot({{TopicKind::kOfJob, deployment->job_id, deployment->namespace_}});
  const auto index = snapshot.of_job(deployment->namespace_, deployment->job_id);
  co_await reply_list(
      call, index ? index->allocs : Table<Allocation>(),
      [id](const Allocation& alloc) { return alloc.deployment_id == id; }, write_stub, true);
}

Task<void> reply_deployment_update(Call& call, Result<EvalReply> reply) {
  if (!reply) {
    co_await call.refuse(reply.error());
    co_return;
  }
  call.set_index(reply->index);
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_object();
    out.member("EvalID", reply->eval_id);
    out.member("EvalCreateIndex", reply->eval_id.empty() ? 0 : reply->index);
    out.member("DeploymentModifyIndex", reply->index);
    out.key("RevertedJobVersion");
    if (reply->reverted_job_version < 0) {
      out.null();
    } else {
      out.value(reply->reverted_job_version);
    }
    out.member("Index", reply->index);
    out.end_object();
  });
}

constexpr MemberKind kPromoteBody[] = {{"All", Json::Kind::kBool}, {"Groups", Json::Kind::kArray}};

Task<void> promote(Call& call, const Json& body) {
  StringList groups;
  if (const Json* given = body.find("Groups"); given && given->is_array()) {
    for (const Json& group : given->as_array()) {
      if (group.is_string()) groups.push_back(group.as_string());
    }
  }
  const bool all = body.get_bool("All");
  if (!all && groups.empty()) {
    co_await call.refuse(400, "Must specify All or at least one group to promote");
    co_return;
  }
  co_await reply_deployment_update(
      call, co_await call.server().promote_deployment(call.param(0), all, std::move(groups)));
}

Task<void> fail_deployment(Call& call) {
  co_await reply_deployment_update(call, co_await call.server().fail_deployment(call.param(0)));
}

constexpr MemberKind kPauseBody[] = {{"Pause", Json::Kind::kBool}};

Task<void> pause_deployment(Call& call, const Json& body) {
  co_await reply_deployment_update(
      call, co_await call.server().pause_deployment(call.param(0), body.get_bool("Pause")));
}

Result<StringList> ids_in(const Json& body, std::string_view name) {
  StringList ids;
  const Json* given = body.find(name);
  if (!given || given->is_null()) return ids;
  if (!given->is_array()) return fail(Code::kInvalid, "{} must be a list of ids", name);
  for (const Json& id : given->as_array()) {
    if (!id.is_string()) return fail(Code::kInvalid, "{} must be a list of ids", name);
    ids.push_back(id.as_string());
  }
  return ids;
}

Task<void> set_alloc_health(Call& call, const Json& body) {
  Result<StringList> healthy = ids_in(body, "HealthyAllocationIDs");
  Result<StringList> unhealthy =
      healthy ? ids_in(body, "UnhealthyAllocationIDs") : Result<StringList>(pass(healthy));
  if (!unhealthy) {
    co_await call.refuse(unhealthy.error());
    co_return;
  }
  co_await reply_deployment_update(
      call, co_await call.server().set_alloc_health(call.param(0), std::move(*healthy),
                                                    std::move(*unhealthy)));
}

constexpr Route kRoutes[] = {
    {"GET", "/v1/evaluations", list_evals},
    {"GET", "/v1/evaluations/count", count_evals},
    {"GET", "/v1/evaluation/:id", read_eval},
    {"GET", "/v1/evaluation/:id/allocations", eval_allocs},
    {"GET", "/v1/allocations", list_allocs},
    {"GET", "/v1/allocation/:id", read_alloc},
    {"PUT", "/v1/allocation/:id/stop", stop_alloc},
    {"GET", "/v1/allocation/:id/services", alloc_services},
    {"GET", "/v1/services", list_services},
    {"GET", "/v1/service/:name", list_services},
    {"GET", "/v1/deployments", list_deployments},
    {"GET", "/v1/deployment/:id", read_deployment},
    {"GET", "/v1/deployment/allocations/:id", deployment_allocs},
    {"PUT", "/v1/deployment/promote/:id", with_body<promote, kPromoteBody>},
    {"PUT", "/v1/deployment/fail/:id", fail_deployment},
    {"PUT", "/v1/deployment/pause/:id", with_body<pause_deployment, kPauseBody>},
    {"PUT", "/v1/deployment/allocation-health/:id", with_body<set_alloc_health>},
};

}  // namespace

std::span<const Route> record_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
