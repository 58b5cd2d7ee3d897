package main

import (
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

func agentCalls() {
	leader, err := client.Status().Leader()
	must("Status.Leader", err)
	members, err := client.Agent().Members()
	must("Agent.Members", err)
	check("Agent.Members: one, alive", len(members.Members) == 1 && members.Members[0].Status == "alive",
		members)
	member := members.Members[0]
	check("leader is Addr:Tags.port", leader == member.Addr+":"+member.Tags["port"], leader, member)
	for _, tag := range []string{"port", "region", "dc", "build", "raft_vsn"} {
		check("Agent.Members: tag "+tag, member.Tags[tag] != "", member.Tags)
	}
	peers, err := client.Status().Peers()
	must("Status.Peers", err)
	check("Status.Peers: the leader", len(peers) == 1 && peers[0] == leader, peers)
	self, err := client.Agent().Self()
	must("Agent.Self", err)
	check("Agent.Self: node id", self.Stats["client"]["node_id"] != "", self.Stats)
	check("Agent.Self: version", self.Config["Version"] != nil, self.Config)
	region, err := client.Agent().Region()
	must("Agent.Region", err)
	check("Agent.Region: global", region == "global", region)
	_, err = client.Agent().NodeName()
	must("Agent.NodeName", err)
	servers, err := client.Agent().Servers()
	must("Agent.Servers", err)
	check("Agent.Servers: one", len(servers) == 1, servers)
	health, err := client.Agent().Health()
	must("Agent.Health", err)
	check("Agent.Health: ok", health.Server.Ok && health.Client.Ok, health)
	regions, err := client.Regions().List()
	must("Regions.List", err)
	check("Regions.List: global", len(regions) == 1 && regions[0] == "global", regions)
	raft, err := client.Operator().RaftGetConfiguration(nil)
	must("Operator.RaftGetConfiguration", err)
	check("raft: one voter that leads",
		len(raft.Servers) == 1 && raft.Servers[0].Leader && raft.Servers[0].Voter, raft)
	scheduler, _, err := client.Operator().SchedulerGetConfiguration(nil)
	must("Operator.SchedulerGetConfiguration", err)
	check("scheduler: binpack", scheduler.SchedulerConfig.SchedulerAlgorithm == "binpack", scheduler)
	spaces, _, err := client.Namespaces().List(nil)
	must("Namespaces.List", err)
	check("Namespaces.List: default", len(spaces) >= 1 && spaces[0].Name == "default", spaces)
	_, _, err = client.Namespaces().Info("default", nil)
	must("Namespaces.Info", err)
	volumes, _, err := client.CSIVolumes().List(nil)
	must("CSIVolumes.List", err)
	check("CSIVolumes.List: none", len(volumes) == 0, volumes)
	must("System.ReconcileSummaries", client.System().ReconcileSummaries())
	metrics, _, err := client.Operator().MetricsSummary(nil)
	must("Operator.MetricsSummary", err)
	check("metrics: gauges", len(metrics.Gauges) > 0, metrics)
	text, err := client.Operator().Metrics(&api.QueryOptions{Params: map[string]string{"format": "prometheus"}})
	must("Operator.Metrics prometheus", err)
	check("metrics: prometheus text", strings.Contains(string(text), "# TYPE nomad_"), string(text))
}

func jobCalls() {
	job := shell("calls", endless, 1)
	valid, _, err := client.Jobs().Validate(job, nil)
	must("Jobs.Validate", err)
	check("Jobs.Validate: no errors", len(valid.ValidationErrors) == 0, valid)
	bad := shell("calls", endless, -1)
	valid, _, err = client.Jobs().Validate(bad, nil)
	must("Jobs.Validate of a bad job", err)
	check("Jobs.Validate: errors", len(valid.ValidationErrors) > 0 && valid.Error != "", valid)
	_, _, err = client.Jobs().Register(bad, nil)
	refused("Jobs.Register of a bad job", err, "400")

	plan, _, err := client.Jobs().Plan(job, true, nil)
	must("Jobs.Plan", err)
	check("plan: a new job", plan.JobModifyIndex == 0 && plan.Diff.Type == "Added", plan)
	check("plan: nothing fails, nothing waits", plan.FailedTGAllocs == nil && plan.CreatedEvals == nil, plan)
	check("plan: places one", plan.Annotations.DesiredTGUpdates["g"].Place == 1, plan.Annotations)
	check("plan: annotated diff", plan.Diff.TaskGroups[0].Updates["create"] == 1, plan.Diff.TaskGroups[0])
	_, _, err = client.Jobs().Info("calls", nil)
	refused("the plan changed nothing", err, "job not found")

	_, _, err = client.Jobs().EnforceRegister(job, 7, nil)
	refused("-check-index of an unknown job", err,
		"Enforcing job modify index 7: job does not exist")
	reply, _, err := client.Jobs().EnforceRegister(job, 0, nil)
	must("Jobs.EnforceRegister", err)
	check("register: ids and index", reply.EvalID != "" && reply.JobModifyIndex > 0, reply)
	_, _, err = client.Jobs().EnforceRegister(job, 0, nil)
	refused("-check-index 0 again", err, "Enforcing job modify index 0: job already exists")
	_, _, err = client.Jobs().EnforceRegister(job, reply.JobModifyIndex+100, nil)
	refused("-check-index in conflict", err, "job exists with conflicting job modify index")

	eval := evalDone(reply.EvalID)
	check("evaluation: of the job", eval.JobID == "calls" && eval.TriggeredBy == "job-register", eval)
	check("evaluation: its deployment", eval.DeploymentID != "", eval)
	stubs, qm, err := client.Evaluations().Allocations(reply.EvalID, nil)
	must("Evaluations.Allocations", err)
	meta("Evaluations.Allocations", qm)
	check("evaluation: one allocation", len(stubs) == 1 && stubs[0].Name == "calls.g[0]", stubs)
	deployment := deploymentDone("calls", "successful")
	check("deployment: counts", deployment.TaskGroups["g"].HealthyAllocs == 1, deployment.TaskGroups["g"])

	info, qm, err := client.Jobs().Info("calls", nil)
	must("Jobs.Info", err)
	meta("Jobs.Info", qm)
	check("job: defaults are filled in",
		*info.Priority == 50 && *info.Namespace == "default" && info.SubmitTime != nil &&
			*info.TaskGroups[0].RestartPolicy.Attempts == 2 && *info.Status == "running", info)
	check("job: modify index", *info.JobModifyIndex == reply.JobModifyIndex, *info.JobModifyIndex)
	plan, _, err = client.Jobs().Plan(job, true, nil)
	must("Jobs.Plan again", err)
	check("plan of the same: nothing", plan.Diff.Type == "None" &&
		plan.JobModifyIndex == reply.JobModifyIndex, plan.Diff)
	again, _, err := client.Jobs().Register(job, nil)
	must("Jobs.Register of the same", err)
	check("register of the same keeps the index", again.JobModifyIndex == reply.JobModifyIndex, again)
	evalDone(again.EvalID)

	summary, _, err := client.Jobs().Summary("calls", nil)
	must("Jobs.Summary", err)
	check("summary: one runs", summary.Summary["g"].Running == 1, summary)
	evals, _, err := client.Jobs().Evaluations("calls", nil)
	must("Jobs.Evaluations", err)
	check("evaluations: newest first", len(evals) >= 2 && evals[0].CreateIndex >= evals[1].CreateIndex)
	deployments, _, err := client.Jobs().Deployments("calls", true, nil)
	must("Jobs.Deployments", err)
	check("deployments: one", len(deployments) == 1, deployments)
	id, _, err := client.Jobs().ForceEvaluate("calls", nil)
	must("Jobs.ForceEvaluate", err)
	evalDone(id)
	id, _, err = client.Jobs().EvaluateWithOpts("calls", api.EvalOptions{ForceReschedule: true}, nil)
	must("Jobs.EvaluateWithOpts", err)
	evalDone(id)

	status, _, err := client.Jobs().ScaleStatus("calls", nil)
	must("Jobs.ScaleStatus", err)
	check("scale status", status.TaskGroups["g"].Desired == 1 && status.TaskGroups["g"].Running == 1, status)
	scaled, _, err := client.Jobs().Scale("calls", "g", ptr(2), "more", false, nil, nil)
	must("Jobs.Scale", err)
	evalDone(scaled.EvalID)
	until("two run", func() bool { return len(running("calls")) == 2 })

	parsed, err := client.Jobs().ParseHCL(`job "x" {
  datacenters = ["dc1"]
  group "g" {
    task "t" { driver = "raw_exec" }
  }
}`, true)
	must("Jobs.ParseHCL", err)
	check("parsed: canonical", *parsed.ID == "x" && *parsed.TaskGroups[0].Count == 1, parsed)
	_, err = client.Jobs().ParseHCL(`job "x" {`, true)
	refused("Jobs.ParseHCL of broken text", err, "job.nomad:1")

	none, _, err := client.Jobs().Deregister("nope", false, nil)
	must("Jobs.Deregister of nothing", err)
	check("deregister: no evaluation of nothing", none == "", none)
	stopped, _, err := client.Jobs().DeregisterOpts("calls", &api.DeregisterOptions{EvalPriority: 97}, nil)
	must("Jobs.DeregisterOpts", err)
	ended, _, err := client.Evaluations().Info(stopped, nil)
	must("Evaluations.Info of the end", err)
	check("deregister: its priority", ended.Priority == 97, ended)
	evalDone(stopped)
	until("none runs", func() bool { return len(running("calls")) == 0 })
	info, _, err = client.Jobs().Info("calls", nil)
	must("Jobs.Info of a stopped job", err)
	check("stopped and dead", *info.Stop && *info.Status == "dead", info)
	remove("calls")
	_, _, err = client.Jobs().Info("calls", nil)
	refused("purged", err, "job not found")
}

func listCalls() {
	for _, id := range []string{"list/a", "list/b", "list/c"} {
		register(shell(id, endless, 1))
	}
	jobs, qm, err := client.Jobs().List(nil)
	must("Jobs.List", err)
	meta("Jobs.List", qm)
	check("jobs: three", len(jobs) == 3 && jobs[0].JobSummary != nil, jobs)
	jobs, _, err = client.Jobs().PrefixList("list/b")
	must("Jobs.PrefixList", err)
	check("jobs: by prefix", len(jobs) == 1 && jobs[0].ID == "list/b", jobs)
	var ids []string
	q := &api.QueryOptions{PerPage: 2}
	for pages := 0; pages < 3; pages++ {
		jobs, qm, err = client.Jobs().List(q)
		must("Jobs.List by pages", err)
		for _, job := range jobs {
			ids = append(ids, job.ID)
		}
		if qm.NextToken == "" {
			break
		}
		q.NextToken = qm.NextToken
	}
	check("pages: each job once", strings.Join(ids, " ") == "list/a list/b list/c", ids)
	jobs, _, err = client.Jobs().List(&api.QueryOptions{Filter: `ID matches "a$" or ID == "list/c"`})
	must("Jobs.List with a filter", err)
	check("filter: two", len(jobs) == 2, jobs)
	_, _, err = client.Jobs().List(&api.QueryOptions{Filter: "ID ="})
	refused("a broken filter", err, "400")
	jobs, _, err = client.Jobs().List(&api.QueryOptions{Namespace: "other"})
	must("Jobs.List of another namespace", err)
	check("another namespace: none", len(jobs) == 0, jobs)
	jobs, _, err = client.Jobs().List(&api.QueryOptions{Namespace: "*"})
	must("Jobs.List of all namespaces", err)
	check("all namespaces: three", len(jobs) == 3, jobs)

	allocs, qm, err := client.Allocations().List(nil)
	must("Allocations.List", err)
	meta("Allocations.List", qm)
	check("allocations: three or more", len(allocs) >= 3, allocs)
	full, _, err := client.Allocations().List(&api.QueryOptions{Params: map[string]string{"resources": "true"}})
	must("Allocations.List with resources", err)
	check("allocations: resources where asked for", allocs[0].AllocatedResources == nil &&
		full[0].AllocatedResources.Tasks["srv"].Cpu.CpuShares == 20, full[0])
	found, _, err := client.Allocations().PrefixList(allocs[0].ID[:8])
	must("Allocations.PrefixList", err)
	check("allocations: by prefix", len(found) == 1 && found[0].ID == allocs[0].ID, found)
	evals, _, err := client.Evaluations().List(nil)
	must("Evaluations.List", err)
	check("evaluations: some", len(evals) >= 3, evals)
	evals, _, err = client.Evaluations().PrefixList(evals[0].ID[:8])
	must("Evaluations.PrefixList", err)
	check("evaluations: by prefix", len(evals) == 1, evals)
	deployments, _, err := client.Deployments().List(nil)
	must("Deployments.List", err)
	check("deployments: three or more", len(deployments) >= 3, deployments)
	deployments, _, err = client.Deployments().PrefixList(deployments[0].ID[:8])
	must("Deployments.PrefixList", err)
	check("deployments: by prefix", len(deployments) == 1, deployments)
	stubs, _, err := client.Deployments().Allocations(deployments[0].ID, nil)
	must("Deployments.Allocations", err)
	check("deployment: its allocation", len(stubs) == 1, stubs)

	// A blocking query returns at the change, and at its time limit without one.
	_, qm, err = client.Jobs().List(nil)
	must("Jobs.List before blocking", err)
	begin := time.Now()
	_, _, err = client.Jobs().Info("list/a", &api.QueryOptions{WaitIndex: qm.LastIndex + 1000,
		WaitTime: 500 * time.Millisecond})
	must("Jobs.Info blocking without a change", err)
	waited := time.Since(begin)
	check("blocks as long as asked", waited >= 450*time.Millisecond && waited < 5*time.Second, waited)
	changed := make(chan time.Duration, 1)
	_, qm, _ = client.Jobs().Info("list/b", nil)
	go func() {
		begin := time.Now()
		client.Jobs().Info("list/b", &api.QueryOptions{WaitIndex: qm.LastIndex,
			WaitTime: 30 * time.Second})
		changed <- time.Since(begin)
	}()
	time.Sleep(300 * time.Millisecond)
	remove("list/b")
	select {
	case waited = <-changed:
		check("a change wakes it", waited >= 250*time.Millisecond && waited < 10*time.Second, waited)
	case <-time.After(15 * time.Second):
		check("a change wakes it", false)
	}
	remove("list/a")
	remove("list/c")
}

func versionCalls() {
	register(shell("versions", endless, 1))
	job := shell("versions", endless, 2)
	register(job)
	until("two run", func() bool { return len(running("versions")) == 2 })
	versions, diffs, _, err := client.Jobs().Versions("versions", true, nil)
	must("Jobs.Versions", err)
	check("versions: two, newest first", len(versions) == 2 && *versions[0].Version == 1, versions)
	check("versions: one diff", len(diffs) == 1 && diffs[0].Type == "Edited", diffs)
	check("versions: stable", *versions[0].Stable, versions[0])
	_, _, err = client.Jobs().Revert("versions", 0, ptr(uint64(7)), nil, "", "")
	refused("Jobs.Revert with a wrong prior version", err, "version")
	_, _, err = client.Jobs().Revert("versions", 9, nil, nil, "", "")
	refused("Jobs.Revert to no version", err, "9")
	reply, _, err := client.Jobs().Revert("versions", 0, nil, nil, "", "")
	must("Jobs.Revert", err)
	evalDone(reply.EvalID)
	until("one runs again", func() bool { return len(running("versions")) == 1 })
	remove("versions")
}

func batchCalls() {
	job := shell("dispatched", "echo payload; cat ${NOMAD_TASK_DIR}/input 2>/dev/null; echo $NOMAD_META_who", 1)
	job.Type = ptr("batch")
	job.TaskGroups[0].Update = nil
	job.ParameterizedJob = &api.ParameterizedJobConfig{Payload: "optional", MetaRequired: []string{"who"}}
	reply, _, err := client.Jobs().Register(job, nil)
	must("Jobs.Register of a parameterized job", err)
	check("no evaluation for it", reply.EvalID == "", reply)
	_, _, err = dispatch(client, "dispatched", nil, nil, nil)
	refused("Jobs.Dispatch without its meta", err, "who")
	once := &api.WriteOptions{IdempotencyToken: "once"}
	who := map[string]string{"who": "me"}
	sent, _, err := dispatch(client, "dispatched", who, []byte("hello"), once)
	must("Jobs.Dispatch", err)
	again, _, err := dispatch(client, "dispatched", who, nil, once)
	must("Jobs.Dispatch again", err)
	check("dispatched once", again.DispatchedJobID == sent.DispatchedJobID && again.EvalID == "" &&
		again.JobCreateIndex == sent.JobCreateIndex, again)
	check("dispatched", strings.HasPrefix(sent.DispatchedJobID, "dispatched/dispatch-"), sent)
	evalDone(sent.EvalID)
	until("the dispatched job ends", func() bool {
		info, _, err := client.Jobs().Info(sent.DispatchedJobID, nil)
		return err == nil && *info.Status == "dead"
	})
	remove(sent.DispatchedJobID)
	remove("dispatched")

	periodic := shell("periodic", "echo tick", 1)
	periodic.Type = ptr("batch")
	periodic.TaskGroups[0].Update = nil
	periodic.Periodic = &api.PeriodicConfig{Enabled: ptr(true), Spec: ptr("0 0 1 1 *"), SpecType: ptr("cron")}
	plan, _, err := client.Jobs().Plan(periodic, true, nil)
	must("Jobs.Plan of a periodic job", err)
	check("plan: the next launch", plan.NextPeriodicLaunch.After(time.Now()), plan.NextPeriodicLaunch)
	reply, _, err = client.Jobs().Register(periodic, nil)
	must("Jobs.Register of a periodic job", err)
	check("no evaluation for it", reply.EvalID == "", reply)
	id, _, err := client.Jobs().PeriodicForce("periodic", nil)
	must("Jobs.PeriodicForce", err)
	eval := evalDone(id)
	check("a child runs", strings.HasPrefix(eval.JobID, "periodic/periodic-"), eval)
	remove(eval.JobID)
	remove("periodic")
}

func failureCalls() {
	job := shell("huge", endless, 1)
	job.TaskGroups[0].Tasks[0].Resources.MemoryMB = ptr(1 << 30)
	plan, _, err := client.Jobs().Plan(job, false, nil)
	must("Jobs.Plan of a job that fits nowhere", err)
	metric := plan.FailedTGAllocs["g"]
	check("plan: says why", metric != nil && metric.DimensionExhausted["memory"] == 1, plan)
	check("plan: what would wait", len(plan.CreatedEvals) == 1 &&
		plan.CreatedEvals[0].Status == "blocked" &&
		plan.CreatedEvals[0].TriggeredBy == "queued-allocs", plan.CreatedEvals)
	reply, _, err := client.Jobs().Register(job, nil)
	must("Jobs.Register of a job that fits nowhere", err)
	eval := evalDone(reply.EvalID)
	check("evaluation: says why", eval.FailedTGAllocs["g"] != nil && eval.BlockedEval != "", eval)
	blocked, _, err := client.Evaluations().Info(eval.BlockedEval, nil)
	must("Evaluations.Info of the blocked one", err)
	check("it waits for capacity", blocked.Status == "blocked", blocked)
	remove("huge")
	must("System.GarbageCollect", client.System().GarbageCollect())
}

func searchCalls() {
	register(shell("sought", endless, 1))
	stub := running("sought")[0]
	found, _, err := client.Search().PrefixSearch("soug", "all", nil)
	must("Search.PrefixSearch", err)
	check("search: the job", len(found.Matches["jobs"]) == 1 && found.Matches["jobs"][0] == "sought", found)
	found, _, err = client.Search().PrefixSearch(stub.ID[:8], "all", nil)
	must("Search.PrefixSearch of an allocation", err)
	check("search: the allocation", len(found.Matches["allocs"]) == 1, found)
	found, _, err = client.Search().PrefixSearch(stub.NodeID[:8], "nodes", nil)
	must("Search.PrefixSearch of a node", err)
	check("search: the node", len(found.Matches["nodes"]) == 1, found)
	remove("sought")
}
