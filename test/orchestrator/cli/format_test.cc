// The command line's output, byte for byte, from the API's JSON.
#include "core/json.h"
#include "orchestrator/cli/format_alloc.h"
#include "orchestrator/cli/format_job.h"
#include "orchestrator/cli/format_node.h"
#include "orchestrator/cli/format_plan.h"
#include "orchestrator/cli/text.h"
#include "test/test.h"

namespace sluice::orchestrator::cli {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kNow = 1553893569 * kSecond;  // 2019-03-29T21:06:09Z

int32_t shanghai(int64_t) {
  return 8 * 3600;
}

Clock clock_at(int64_t now_ns) {
  return Clock{now_ns, shanghai};
}

Json json(std::string_view text) {
  Result<Json> parsed = parse_json(text);
  REQUIRE(parsed);
  return *parsed;
}

}  // namespace

TEST_CASE("columns are two spaces apart, an empty cell is named, nothing trails") {
  EXPECT_EQ(columns({{"ID", "Name", "Class"}, {"9e3ef19f", "n1", ""}}),
            "ID        Name  Class\n9e3ef19f  n1    <none>");
  EXPECT_EQ(columns({{"a", "b"}, {"x", ""}}, ""), "a  b\nx");
  EXPECT_EQ(columns({{"é", "b"}, {"xy", "c"}}), "é   b\nxy  c");
  EXPECT_EQ(columns({{"\x1b[1mé\x1b[0m", "b"}, {"xy", "c"}}), "\x1b[1mé\x1b[0m   b\nxy  c");
  EXPECT_EQ(key_values({{"ID", "a"}, {"Parameterized", ""}}),
            "ID            = a\nParameterized = <none>");
}

TEST_CASE("ages show the two largest units") {
  struct Case {
    int64_t seconds;
    const char* text;
  };
  for (const Case& each : {Case{0, "0s ago"},
                           {1, "1s ago"},
                           {480, "8m ago"},
                           {470, "7m50s ago"},
                           {3600, "1h ago"},
                           {3661, "1h1m ago"},
                           {3601, "1h1s ago"},
                           {86400 * 3 + 7200, "3d2h ago"},
                           {86400 * 45, "1mo15d ago"},
                           {86400 * 400, "1y1mo ago"},
                           {-90, "1m30s from now"}}) {
    EXPECT_EQ(time_difference(kNow - each.seconds * kSecond, kNow), each.text);
  }
  EXPECT_EQ(time_difference(0, kNow), "");
}

TEST_CASE("times are printed in the zone of the reader") {
  const int64_t moment = *parse_time("2019-03-29T20:58:09.123456789Z");
  EXPECT_EQ(moment, 1553893089123456789);
  EXPECT_EQ(time_text(moment, clock_at(kNow)), "2019-03-30T04:58:09+08:00");
  EXPECT_EQ(time_text(moment, Clock{kNow, nullptr}), "2019-03-29T20:58:09Z");
  EXPECT_EQ(time_text(moment, Clock{kNow, [](int64_t) { return -9000; }}),
            "2019-03-29T18:28:09-02:30");
  EXPECT_EQ(time_text(0, clock_at(kNow)), "N/A");
  EXPECT_EQ(parse_time("2019-03-30T04:58:09+08:00"), 1553893089 * kSecond);
  EXPECT(!parse_time("0001-01-01T00:00:00Z"));
  EXPECT(!parse_time("yesterday"));
  EXPECT_EQ(task_time("2019-03-29T20:58:09.123456789Z"), "2019-03-29T20:58:09Z");
  EXPECT_EQ(task_time("0001-01-01T00:00:00Z"), "N/A");
}

TEST_CASE("sizes have one decimal below ten") {
  EXPECT_EQ(size_text(300 * 1024 * 1024), "300 MiB");
  EXPECT_EQ(size_text(6'606'029), "6.3 MiB");
  EXPECT_EQ(size_text(512), "512 B");
  EXPECT_EQ(size_text(10ull << 30), "10 GiB");
}

TEST_CASE("the plan of a new job is the user's own session") {
  const Json reply = json(R"({"JobModifyIndex":0,"Warnings":"","FailedTGAllocs":null,
    "NextPeriodicLaunch":"0001-01-01T00:00:00Z",
    "Annotations":{"DesiredTGUpdates":{"httpbackend":{"Place":2,"Ignore":0}}},
    "Diff":{"Type":"Added","ID":"httpbackend","Fields":[{"Type":"Added","Name":"Type","New":"service"}],
      "Objects":null,"TaskGroups":[{"Type":"Added","Name":"httpbackend","Updates":{"create":2},
      "Fields":[{"Type":"Added","Name":"Count","New":"2"}],
      "Tasks":[{"Type":"Added","Name":"httpbackend","Annotations":["forces create"]}]}]}})");
  PlanOptions options;
  options.path = "httpbackend-1.nomad";
  EXPECT_EQ(format_plan(reply, json("{}"), options, clock_at(kNow), Style{}),
            R"(+ Job: "httpbackend"
+ Task Group: "httpbackend" (2 create)
  + Task: "httpbackend" (forces create)

Scheduler dry-run:
- All tasks successfully allocated.

Job Modify Index: 0
To submit the job with version verification run:

sluice job run -check-index 0 httpbackend-1.nomad

When running the job with the check-index flag, the job will only be run if the
job modify index given matches the server-side version. If the index has
changed, another user has modified the job and the plan's results are
potentially invalid.
)");
  EXPECT_EQ(plan_exit_code(reply), 1);
}

TEST_CASE("an edited job shows its fields aligned, nested objects indented") {
  const Json diff = json(R"({"Type":"Edited","ID":"httpbackend","TaskGroups":[
    {"Type":"Edited","Name":"httpbackend","Updates":{"in-place update":2},
     "Fields":[{"Type":"Edited","Name":"Count","Old":"2","New":"3","Annotations":["forces create"]}],
     "Tasks":[{"Type":"Edited","Name":"httpbackend","Annotations":["forces in-place update"],
      "Fields":[{"Type":"Added","Name":"Env[A]","New":"x\ny"},{"Type":"Deleted","Name":"User","Old":"bob"}],
      "Objects":[{"Type":"Added","Name":"Service","Fields":[{"Type":"Added","Name":"Name","New":"web"},
        {"Type":"Added","Name":"PortLabel","New":"http"}],
        "Objects":[{"Type":"Added","Name":"Check","Fields":[{"Type":"Added","Name":"Type","New":"http"}]}]}]}]}]})");
  EXPECT_EQ(format_job_diff(diff, false, Style{}), R"(+/- Job: "httpbackend"
+/- Task Group: "httpbackend" (2 in-place update)
  +/- Count: "2" => "3" (forces create)
  +/- Task: "httpbackend" (forces in-place update)
    + Env[A]: "x\ny"
    - User:   "bob"
    + Service {
      + Name:      "web"
      + PortLabel: "http"
      + Check {
        + Type: "http"
        }
      })");
}

TEST_CASE("a plan that places nothing says why, group by group") {
  const Json reply = json(R"({"JobModifyIndex":7,"Diff":{"Type":"None","ID":"a"},
    "FailedTGAllocs":{"web":{"NodesEvaluated":3,"NodesAvailable":{"dc1":3,"dc2":0},
      "ConstraintFiltered":{"missing drivers":1},"NodesExhausted":2,
      "DimensionExhausted":{"memory":2},"CoalescedFailures":4}}})");
  PlanOptions options;
  options.diff = false;
  options.path = "a.nomad";
  const std::string text =
      format_plan(reply, json(R"({"Type":"service"})"), options, clock_at(kNow), Style{});
  EXPECT_EQ(text.substr(0, text.find("Job Modify")), R"(Scheduler dry-run:
- WARNING: Failed to place all allocations.
  Task Group "web" (failed to place 5 allocations):
    * No nodes are available in datacenter "dc2"
    * Constraint "missing drivers": 1 nodes excluded by filter
    * Resources exhausted on 2 nodes
    * Dimension "memory" exhausted on 2 nodes

)");
  EXPECT_EQ(plan_exit_code(reply), 0);
}

TEST_CASE("job status is the user's own session") {
  JobStatusData data;
  data.job = json(R"({"ID":"httpbackend","Name":"httpbackend","SubmitTime":1553893089000000000,
    "Type":"service","Priority":50,"Datacenters":["dc1"],"Status":"running"})");
  data.summary = json(R"({"Summary":{"httpbackend":{"Queued":0,"Starting":0,"Running":2,"Failed":0,
    "Complete":0,"Lost":0,"Unknown":0}}})");
  data.allocations =
      json(R"([{"ID":"6b0b83de-9a3b","NodeID":"9e3ef19f-1234","TaskGroup":"httpbackend",
    "JobVersion":0,"DesiredStatus":"run","ClientStatus":"running",
    "CreateTime":1553893089000000000,"ModifyTime":1553893099000000000}])");
  EXPECT_EQ(format_job_status(data, {}, clock_at(kNow), Style{}),
            R"(ID            = httpbackend
Name          = httpbackend
Submit Date   = 2019-03-30T04:58:09+08:00
Type          = service
Priority      = 50
Datacenters   = dc1
Status        = running
Periodic      = false
Parameterized = false

Summary
Task Group   Queued  Starting  Running  Failed  Complete  Lost
httpbackend  0       0         2        0       0         0

Allocations
ID        Node ID   Task Group   Version  Desired  Status   Created  Modified
6b0b83de  9e3ef19f  httpbackend  0        run      running  8m ago   7m50s ago)");
}

TEST_CASE("job status shows the deployment and why instances are missing") {
  JobStatusData data;
  data.job = json(R"({"ID":"web","Status":"dead","Stop":true})");
  data.evaluations = json(R"([{"ID":"e1","Status":"blocked","CreateIndex":9},
    {"ID":"e2","Status":"complete","CreateIndex":8,
     "FailedTGAllocs":{"g":{"NodesEvaluated":0,"NodesAvailable":{"dc1":0}}}}])");
  data.deployment = json(R"({"ID":"0123456789","Status":"running","StatusDescription":"is running",
    "TaskGroups":{"g":{"DesiredTotal":3,"PlacedAllocs":1,"HealthyAllocs":1,"UnhealthyAllocs":0,
    "DesiredCanaries":1,"Promoted":false,"ProgressDeadline":600000000000,
    "RequireProgressBy":"2019-03-29T21:16:09Z"}}})");
  const std::string text = format_job_status(data, {}, clock_at(kNow), Style{});
  EXPECT(text.find("Status        = dead (stopped)\n") != std::string::npos);
  EXPECT(text.find(R"(
Placement Failure
Task Group "g":
  * No nodes were eligible for evaluation
  * No nodes are available in datacenter "dc1"

Latest Deployment
ID          = 01234567
Status      = running
Description = is running

Deployed
Task Group  Promoted  Desired  Canaries  Placed  Healthy  Unhealthy  Progress Deadline
g           false     3        1         1       1        0          2019-03-30T05:16:09+08:00

Allocations
No allocations placed)") != std::string::npos);

  data.deployment.set("Status", "successful");
  const auto shows = [&](bool verbose) {
    return format_job_status(data, {.verbose = verbose}, clock_at(kNow), Style{})
               .find("Latest Deployment") != std::string::npos;
  };
  EXPECT(!shows(false));
  EXPECT(shows(true));
}

TEST_CASE("the list of jobs names kinds and stopped ones") {
  EXPECT_EQ(format_job_list(json("[]"), clock_at(kNow)), "No running jobs");
  EXPECT_EQ(format_job_list(json(R"([{"ID":"a","Type":"batch","Periodic":true,"Priority":50,
    "Status":"dead","Stop":true,"SubmitTime":1553893089000000000}])"),
                            clock_at(kNow)),
            "ID  Type            Priority  Status          Submit Date\n"
            "a   batch/periodic  50        dead (stopped)  2019-03-30T04:58:09+08:00");
}

TEST_CASE("node status") {
  EXPECT_EQ(
      format_node_list(json(R"([{"ID":"9e3ef19f-1","Datacenter":"dc1","Name":"n1","NodeClass":"",
    "Drain":false,"SchedulingEligibility":"eligible","Status":"ready"}])"),
                       {}, {}),
      "ID        DC   Name  Class   Drain  Eligibility  Status\n"
      "9e3ef19f  dc1  n1    <none>  false  eligible     ready");
  NodeStatusData data;
  data.node = json(R"({"ID":"9e3ef19f-1","Name":"n1","Datacenter":"dc1","Status":"ready",
    "SchedulingEligibility":"eligible","NodeResources":{"Cpu":{"CpuShares":4000},
    "Memory":{"MemoryMB":8192},"Disk":{"DiskMB":10240}},"ReservedResources":{"Cpu":{"CpuShares":0}},
    "Drivers":{"docker":{"Detected":true,"Healthy":false},"raw_exec":{"Detected":true,"Healthy":true},
    "qemu":{"Detected":false}},
    "Events":[{"Message":"Node registered","Subsystem":"Cluster","Timestamp":"2019-03-29T20:58:09Z"}]})");
  data.allocations =
      json(R"([{"ID":"a1","NodeID":"9e3ef19f-1","TaskGroup":"g","ClientStatus":"running",
    "DesiredStatus":"run","Job":{"Version":3},"Resources":{"CPU":500,"MemoryMB":256,"DiskMB":300},
    "CreateTime":1553893089000000000,"ModifyTime":1553893089000000000}])");
  EXPECT_EQ(format_node_status(data, {}, clock_at(kNow), Style{}), R"(ID            = 9e3ef19f
Name          = n1
Class         = <none>
DC            = dc1
Drain         = false
Eligibility   = eligible
Status        = ready
Driver Status = docker (unhealthy),raw_exec

Node Events
Time                       Subsystem  Message
2019-03-30T04:58:09+08:00  Cluster    Node registered

Allocated Resources
CPU           Memory           Disk
500/4000 MHz  256 MiB/8.0 GiB  300 MiB/10 GiB

Allocations
ID  Node ID   Task Group  Version  Desired  Status   Created  Modified
a1  9e3ef19f  g           3        run      running  8m ago   8m ago)");
}

TEST_CASE("alloc status shows addresses and events, newest first") {
  const Json alloc = json(R"({"ID":"6b0b83de-9a3b","EvalID":"40c63529-1","Name":"web.web[0]",
    "NodeID":"9e3ef19f-1","NodeName":"n1","JobID":"web","Job":{"Version":2},"ClientStatus":"running",
    "DesiredStatus":"run","CreateTime":1553893089000000000,"ModifyTime":1553893099000000000,
    "DeploymentID":"d1","DeploymentStatus":{"Healthy":true},
    "Resources":{"CPU":100,"MemoryMB":300,"DiskMB":300},
    "TaskResources":{"web":{"CPU":100,"MemoryMB":300,"Networks":[{"IP":"127.0.0.1",
      "DynamicPorts":[{"Label":"http","Value":23578}],"ReservedPorts":[{"Label":"admin","Value":9}]}]}},
    "TaskStates":{"web":{"State":"running","Restarts":1,"StartedAt":"2019-03-29T20:58:10Z",
      "FinishedAt":"0001-01-01T00:00:00Z","LastRestart":null,
      "Events":[{"Time":1553893089000000000,"Type":"Received","DisplayMessage":"Task received by client"},
                {"Time":1553893090000000000,"Type":"Started","DisplayMessage":"Task started by client"}]}}})");
  EXPECT_EQ(format_alloc_status(alloc, Json(), 0, {}, clock_at(kNow), Style{}),
            R"(ID                  = 6b0b83de-9a3b
Eval ID             = 40c63529
Name                = web.web[0]
Node ID             = 9e3ef19f
Node Name           = n1
Job ID              = web
Job Version         = 2
Client Status       = running
Client Description  = <none>
Desired Status      = run
Desired Description = <none>
Created             = 8m ago
Modified            = 7m50s ago
Deployment ID       = d1
Deployment Health   = healthy

Task "web" is "running"
Task Resources:
CPU      Memory   Disk     Addresses
100 MHz  300 MiB  300 MiB  http: 127.0.0.1:23578
                           admin: 127.0.0.1:9

Task Events:
Started At     = 2019-03-29T20:58:10Z
Finished At    = N/A
Total Restarts = 1
Last Restart   = N/A

Recent Events:
Time                       Type      Description
2019-03-30T04:58:10+08:00  Started   Task started by client
2019-03-30T04:58:09+08:00  Received  Task received by client)");
}

TEST_CASE("eval status with failed placements") {
  const Json eval = json(R"({"ID":"40c63529-1","Status":"complete","Type":"service","JobID":"web",
    "TriggeredBy":"job-register","Priority":50,"CreateTime":1553893089000000000,
    "ModifyTime":1553893089000000000,"BlockedEval":"b10cced0-1",
    "FailedTGAllocs":{"g":{"NodesEvaluated":1,"NodesExhausted":1,"DimensionExhausted":{"cpu":1}}}})");
  EXPECT_EQ(format_eval_status(eval, false, clock_at(kNow), Style{}),
            R"(ID                 = 40c63529
Create Time        = 8m ago
Modify Time        = 8m ago
Status             = complete
Status Description = complete
Type               = service
TriggeredBy        = job-register
Job ID             = web
Priority           = 50
Placement Failures = true

Failed Placements
Task Group "g" (failed to place 1 allocation):
  * Resources exhausted on 1 nodes
  * Dimension "cpu" exhausted on 1 nodes

Evaluation "b10cced0" waiting for additional capacity to place remainder)");
}

}  // namespace sluice::orchestrator::cli
