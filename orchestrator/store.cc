// The codec: commits and snapshots as text, and back.
#include "orchestrator/store.h"

#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/fields_json.h"

namespace sluice::orchestrator {

namespace {

constexpr EncodeOptions kCompact{.compact = true};
// One commit may hold a plan of very many allocations; what is read here we wrote ourselves.
constexpr JsonLimits kLimits{
    .max_bytes = size_t{1} << 30, .max_depth = 128, .max_values = size_t{1} << 27};

constexpr std::string_view kKindNames[kRecordKinds] = {"node", "job", "eval", "alloc",
                                                       "deployment"};

void write(JsonWriter& out, const Allocation& alloc) {
  out.begin_object();
  encode_members(out, alloc, kCompact);
  out.member("JobID", alloc.job->id);
  out.member("Namespace", alloc.job->namespace_);
  out.member("JobVersion", alloc.job->version);
  if (alloc.metric) {
    out.key("Metric");
    encode(out, *alloc.metric, kCompact);
  }
  out.end_object();
}

template <HasFields T>
void write(JsonWriter& out, const T& record) {
  encode(out, record, kCompact);
}

template <class Pointers>
void write_list(JsonWriter& out, std::string_view name, const Pointers& records) {
  if (records.empty()) return;
  out.key(name).begin_array();
  for (const auto& record : records) write(out, *record);
  out.end_array();
}

void write_marks(JsonWriter& out, const ChangeMarks& marks) {
  out.key("Marks").begin_object();
  out.key("Kinds").begin_array();
  for (const uint64_t index : marks.kinds) out.value(index);
  out.end_array();
  out.key("Nodes").begin_array();
  for (const auto& mark : marks.nodes) {
    out.begin_array().value(mark.id).value(mark.last_change).value(mark.last_order).end_array();
  }
  out.end_array();
  out.key("Jobs").begin_array();
  for (const auto& mark : marks.jobs) {
    out.begin_array().value(mark.id).value(mark.space).value(mark.last_change).end_array();
  }
  out.end_array().end_object();
}

// ------------------------------------------------------------------------------------- reading

/// Reads one commit's members; the first thing that is not as it should be is the error.
class Reader {
 public:
  Reader(const Json& json, const Snapshot& before) : json_(json), before_(before) {}

  Result<Commit> read() {
    if (!json_.is_object()) return fail(Code::kInvalid, "not an object");
    commit_.index = static_cast<uint64_t>(json_.get_int("Index"));
    commit_.time_ns = json_.get_int("Time");
    list("Nodes", commit_.nodes);
    list("Jobs", commit_.jobs);
    std::vector<std::shared_ptr<Job>> versions;
    list("Versions", versions);
    commit_.versions.assign(versions.begin(), versions.end());
    // These two, and a node's LastDrain, a sluice before them passes over and loses: nothing that
    // runs depends on them, so they are no new format.
    list("Scalings", commit_.scalings);
    list("Submissions", commit_.submissions);
    list("Evals", commit_.evals);
    list("Deployments", commit_.deployments);
    list("Allocs", commit_.allocs,
         [this](const Json& item, Allocation& alloc) { complete(item, alloc); });
    read_deletes();
    if (const Json* meta = json_.find("Meta")) {
      commit_.meta = std::make_shared<ClusterMeta>();
      decode(*meta, "Meta", *commit_.meta, context_);
    }
    if (const Json* marks = json_.find("Marks")) read_marks(*marks);
    if (!problems_.empty()) return fail(Code::kInvalid, "{}", problems_.front());
    return std::move(commit_);
  }

 private:
  template <class T>
  void list(const char* name, std::vector<std::shared_ptr<T>>& out) {
    list(name, out, [](const Json&, T&) {});
  }
  template <class T, class F>
  void list(const char* name, std::vector<std::shared_ptr<T>>& out, F&& more) {
    const Json* found = json_.find(name);
    if (!found) return;
    if (!found->is_array()) return context_.problem(name, "must be a list");
    out.reserve(found->size());
    for (const Json& item : found->as_array()) {
      auto record = std::make_shared<T>();
      decode(item, name, *record, context_);
      more(item, *record);
      out.push_back(std::move(record));
    }
  }

  void complete(const Json& item, Allocation& alloc) {
    const std::string_view id = item.get_string("JobID");
    const std::string_view space = item.get_string("Namespace");
    const int64_t version = item.get_int("JobVersion");
    alloc.job = find_version({id, space, static_cast<uint64_t>(version)});
    if (!alloc.job || !alloc.job->group(alloc.group)) {
      context_.problem("Allocs", fmt::format("\"{}\" is of group \"{}\" of job \"{}\" version {}, "
                                             "which is not there",
                                             alloc.id, alloc.group, id, version));
    }
    if (const Json* metric = item.find("Metric")) {
      auto read = std::make_shared<AllocMetric>();
      decode(*metric, "Metric", *read, context_);
      alloc.metric = std::move(read);
    }
  }

  JobPtr find_version(const RecordKey& key) const {
    const auto same = [&](const auto& job) { return record_key(JobVersion{job}) == key; };
    const auto job = std::find_if(commit_.jobs.begin(), commit_.jobs.end(), same);
    if (job != commit_.jobs.end()) return *job;
    const auto version = std::find_if(commit_.versions.begin(), commit_.versions.end(), same);
    if (version != commit_.versions.end()) return *version;
    const auto found = before_.tables().versions.get(key);
    return found ? found->job : nullptr;
  }

  void read_deletes() {
    const Json* found = json_.find("Deletes");
    if (!found) return;
    for (const Json& item : rows(*found, 3)) {
      const auto* kind = std::find(std::begin(kKindNames), std::end(kKindNames), text(item, 0));
      if (kind == std::end(kKindNames)) {
        return context_.problem("Deletes", fmt::format("unknown kind \"{}\"", text(item, 0)));
      }
      commit_.deletes.push_back({static_cast<RecordKind>(kind - std::begin(kKindNames)),
                                 std::string(text(item, 1)), std::string(text(item, 2))});
    }
  }

  void read_marks(const Json& json) {
    auto marks = std::make_shared<ChangeMarks>();
    if (const Json* kinds = json.find("Kinds")) {
      decode(*kinds, "Kinds", marks->kinds, context_);
    }
    if (const Json* nodes = json.find("Nodes")) {
      for (const Json& item : rows(*nodes, 3)) {
        marks->nodes.push_back({std::string(text(item, 0)), number(item, 1), number(item, 2)});
      }
    }
    if (const Json* jobs = json.find("Jobs")) {
      for (const Json& item : rows(*jobs, 3)) {
        marks->jobs.push_back(
            {std::string(text(item, 0)), std::string(text(item, 1)), number(item, 2)});
      }
    }
    commit_.marks = std::move(marks);
  }

  /// The lists of `width` in a list; none, and a problem, where that is not what it is.
  const Json::Array& rows(const Json& json, size_t width) {
    static const Json::Array kNone;
    if (json.is_array()) {
      const Json::Array& all = json.as_array();
      if (std::all_of(all.begin(), all.end(),
                      [&](const Json& item) { return item.is_array() && item.size() == width; })) {
        return all;
      }
    }
    context_.problem("rows", fmt::format("must be a list of lists of {}", width));
    return kNone;
  }
  std::string_view text(const Json& row, size_t at) {
    const Json& cell = row.as_array()[at];
    if (cell.is_string()) return cell.as_string();
    context_.problem("row", "must have a string there");
    return {};
  }
  uint64_t number(const Json& row, size_t at) {
    uint64_t value = 0;
    decode(row.as_array()[at], "row", value, context_);
    return value;
  }

  const Json& json_;
  const Snapshot& before_;
  Commit commit_;
  std::vector<std::string> problems_;
  // `unsupported` is about what users say.
  DecodeContext context_{.problems = &problems_, .place = {}, .refuse_unsupported = false};
};

}  // namespace

std::string encode_commit(const Commit& commit) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.member("Index", commit.index);
  out.member("Time", commit.time_ns);
  if (commit.meta) {
    out.key("Meta");
    encode(out, *commit.meta, kCompact);
  }
  write_list(out, "Nodes", commit.nodes);
  write_list(out, "Jobs", commit.jobs);
  write_list(out, "Versions", commit.versions);
  write_list(out, "Scalings", commit.scalings);
  write_list(out, "Submissions", commit.submissions);
  write_list(out, "Evals", commit.evals);
  write_list(out, "Deployments", commit.deployments);
  write_list(out, "Allocs", commit.allocs);
  if (!commit.deletes.empty()) {
    out.key("Deletes").begin_array();
    for (const Commit::Delete& what : commit.deletes) {
      out.begin_array().value(kKindNames[static_cast<size_t>(what.kind)]);
      out.value(what.id).value(what.space).end_array();
    }
    out.end_array();
  }
  if (commit.marks) write_marks(out, *commit.marks);
  out.end_object();
  return text;
}

Result<Commit> decode_commit(std::string_view text, const Snapshot& before) {
  Result<Json> json = parse_json(text, kLimits);
  if (!json) return pass(json);
  return Reader(*json, before).read();
}

// ------------------------------------------------------------------------------------ snapshots

namespace {

/// Collects records into commits of at most `max_records` and hands each to the sink. After the
/// sink's first error it takes no more.
class Parts {
 public:
  Parts(const Snapshot& snapshot, size_t max_records,
        const std::function<Result<void>(std::string)>& sink)
      : snapshot_(snapshot), max_records_(std::max<size_t>(max_records, 1)), sink_(sink) {
    begin();
  }

  template <class F>
  void add(F&& into) {
    if (!result_) return;
    into(commit_);
    if (++records_ >= max_records_) flush();
  }
  Result<void> finish() {
    if (records_ > 0) flush();
    return result_;
  }

 private:
  void begin() {
    commit_ = Commit();
    commit_.index = snapshot_.index();
    commit_.time_ns = snapshot_.tables().time_ns;
    records_ = 0;
  }
  void flush() {
    if (result_) result_ = sink_(encode_commit(commit_));
    begin();
  }

  const Snapshot& snapshot_;
  const size_t max_records_;
  const std::function<Result<void>(std::string)>& sink_;
  Commit commit_;
  size_t records_ = 0;
  Result<void> result_;
};

/// encode_commit only reads; a snapshot's records are const, a commit's are not.
template <class T>
std::shared_ptr<T> for_writing_out(const std::shared_ptr<const T>& record) {
  return std::const_pointer_cast<T>(record);
}

void add_marks(const Tables& t, Parts& parts) {
  auto marks = std::make_shared<ChangeMarks>();
  marks->kinds.assign(std::begin(t.last_change), std::end(t.last_change));
  t.by_node.each([&](const std::shared_ptr<const NodeIndex>& index) {
    marks->nodes.push_back({index->id, index->last_change, index->last_order});
  });
  t.by_job.each([&](const std::shared_ptr<const JobIndex>& index) {
    marks->jobs.push_back({index->id, index->space, index->last_change});
  });
  parts.add([&](Commit& commit) { commit.marks = std::move(marks); });
}

}  // namespace

Result<void> encode_snapshot(const Snapshot& snapshot, size_t max_records,
                             const std::function<Result<void>(std::string)>& sink) {
  const Tables& t = snapshot.tables();
  Parts parts(snapshot, max_records, sink);
  parts.add([&](Commit& commit) { commit.meta = std::make_shared<ClusterMeta>(t.meta); });
  t.nodes.each([&](const NodePtr& node) {
    parts.add([&](Commit& commit) { commit.nodes.push_back(for_writing_out(node)); });
  });
  // A job before its older versions: reading it trims none of them. Both before what is of them.
  t.jobs.each([&](const JobPtr& job) {
    parts.add([&](Commit& commit) { commit.jobs.push_back(for_writing_out(job)); });
  });
  t.versions.each([&](const std::shared_ptr<const JobVersion>& version) {
    const JobPtr current = t.jobs.get({version->job->id, version->job->namespace_});
    if (current == version->job) return;
    parts.add([&](Commit& commit) { commit.versions.push_back(version->job); });
  });
  t.submissions.each([&](const std::shared_ptr<const JobSubmission>& submission) {
    parts.add([&](Commit& commit) { commit.submissions.push_back(for_writing_out(submission)); });
  });
  t.scalings.each([&](const std::shared_ptr<const JobScaling>& scaling) {
    parts.add([&](Commit& commit) { commit.scalings.push_back(for_writing_out(scaling)); });
  });
  t.evals.each([&](const EvalPtr& eval) {
    parts.add([&](Commit& commit) { commit.evals.push_back(for_writing_out(eval)); });
  });
  t.deployments.each([&](const DeploymentPtr& deployment) {
    parts.add([&](Commit& commit) { commit.deployments.push_back(for_writing_out(deployment)); });
  });
  t.allocs.each([&](const AllocPtr& alloc) {
    parts.add([&](Commit& commit) { commit.allocs.push_back(for_writing_out(alloc)); });
  });
  add_marks(t, parts);
  return parts.finish();
}

}  // namespace sluice::orchestrator
