// Nomad's API shapes of jobs, evaluations and deployments; allocations and nodes have files of
// their own.
#include "orchestrator/fields_json.h"
#include "orchestrator/records.h"

namespace sluice::orchestrator {

namespace {

constexpr EncodeOptions kApi{};

}  // namespace

void write_job(JsonWriter& out, const Job& job, std::string_view status,
               std::string_view status_description) {
  out.begin_object();
  encode_members(out, job);
  out.member("Status", status);
  out.member("StatusDescription", status_description);
  out.end_object();
}

void write_job_summary(JsonWriter& out, const Job& job, const JobSummary& summary,
                       const JobChildren& children) {
  out.begin_object();
  out.member("JobID", job.id);
  out.member("Namespace", job.namespace_);
  out.key("Summary").begin_object();
  for (const auto& [name, counts] : summary) {
    out.key(name);
    encode(out, counts, kApi);
  }
  out.end_object();
  out.key("Children");
  if (job.is_template()) {
    out.begin_object();
    out.member("Pending", children.pending).member("Running", children.running);
    out.member("Dead", children.dead);
    out.end_object();
  } else {
    out.null();
  }
  out.member("CreateIndex", job.create_index);
  out.member("ModifyIndex", job.modify_index);
  out.end_object();
}

void write_job_stub(JsonWriter& out, const Job& job, std::string_view status,
                    const JobSummary& summary, const JobChildren& children) {
  out.begin_object();
  out.member("ID", job.id);
  out.member("ParentID", job.parent_id);
  out.member("Name", job.name);
  out.member("Namespace", job.namespace_);
  out.key("Datacenters");
  encode(out, job.datacenters, kApi);
  out.member("NodePool", job.node_pool);
  out.key("Meta");
  encode(out, job.meta, kApi);
  out.member("Type", job.type);
  out.member("Priority", job.priority);
  out.member("Periodic", job.periodic.has_value());
  out.member("ParameterizedJob", job.parameterized.has_value());
  out.member("Stop", job.stop);
  out.member("Status", status);
  out.member("StatusDescription", "");
  out.key("JobSummary");
  write_job_summary(out, job, summary, children);
  out.member("CreateIndex", job.create_index);
  out.member("ModifyIndex", job.modify_index);
  out.member("JobModifyIndex", job.job_modify_index);
  out.member("SubmitTime", job.submit_time_ns);
  out.member("Version", job.version);
  out.end_object();
}

void write_evaluation(JsonWriter& out, const Evaluation& eval) {
  out.begin_object();
  encode_members(out, eval);
  out.member("Wait", 0);
  out.key("RelatedEvals").null();
  out.key("ClassEligibility").null();
  out.end_object();
}

void write_deployment(JsonWriter& out, const Deployment& deployment) {
  out.begin_object();
  encode_members(out, deployment);
  out.member("IsMultiregion", false);
  out.end_object();
}

}  // namespace sluice::orchestrator
