package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

func allocCalls() {
	register(shell("allocs", endless, 1))
	stub := running("allocs")[0]
	alloc, qm, err := client.Allocations().Info(stub.ID, nil)
	must("Allocations.Info", err)
	meta("Allocations.Info", qm)
	check("allocation: its job and group",
		alloc.Job.Version != nil && alloc.GetTaskGroup() != nil && alloc.Resources.DiskMB != nil, alloc)
	check("allocation: task resources", *alloc.TaskResources["srv"].MemoryMB == 20, alloc.TaskResources)
	check("allocation: events", len(alloc.TaskStates["srv"].Events) > 0 &&
		alloc.TaskStates["srv"].Events[0].DisplayMessage != "", alloc.TaskStates["srv"])
	check("allocation: healthy", alloc.DeploymentStatus != nil && *alloc.DeploymentStatus.Healthy, alloc)
	_, _, err = client.Allocations().Info("11111111-2222-3333-4444-555555555555", nil)
	refused("Allocations.Info of nothing", err, "alloc not found")
	stats, err := client.Allocations().Stats(alloc, nil)
	must("Allocations.Stats", err)
	check("stats: of the task", stats.Tasks["srv"] != nil && stats.Tasks["srv"].ResourceUsage != nil, stats)
	check("stats: memory", stats.ResourceUsage.MemoryStats.RSS > 0, stats.ResourceUsage.MemoryStats)
	_, err = client.Allocations().Checks(alloc.ID, nil)
	must("Allocations.Checks", err)
	services, _, err := client.Allocations().Services(alloc.ID, nil)
	must("Allocations.Services", err)
	check("services: none of Nomad's own", len(services) == 0, services)

	refused("Allocations.Signal with no such signal",
		client.Allocations().Signal(alloc, nil, "srv", "SIGNOPE"), "SIGNOPE")
	must("Allocations.Signal", client.Allocations().Signal(alloc, nil, "srv", "SIGCONT"))
	refused("Allocations.Restart of no such task",
		client.Allocations().Restart(alloc, "nope", nil), "nope")
	must("Allocations.Restart", client.Allocations().Restart(alloc, "", nil))
	until("the task was restarted", func() bool {
		alloc, _, err = client.Allocations().Info(stub.ID, nil)
		state := alloc.TaskStates["srv"]
		return err == nil && state.State == "running" && state.Restarts == 1
	})
	reply, err := client.Allocations().Stop(alloc, nil)
	must("Allocations.Stop", err)
	evalDone(reply.EvalID)
	until("another runs in its place", func() bool {
		now := running("allocs")
		return len(now) == 1 && now[0].ID != stub.ID
	})
	stopped, _, err := client.Allocations().Info(stub.ID, nil)
	must("Allocations.Info of the stopped one", err)
	until("Allocations.GC", func() bool { return client.Allocations().GC(stopped, nil) == nil })
	refused("Allocations.GC twice", client.Allocations().GC(stopped, nil), "gone already")
	check("stopped, and says by what", stopped.DesiredStatus == "stop" && stopped.NextAllocation != "", stopped)
	remove("allocs")
}

// readLog reads frames until the text holds what is wanted.
func readLog(name string, alloc *api.Allocation, stream string, wanted string) {
	cancel := make(chan struct{})
	defer close(cancel)
	frames, errs := client.AllocFS().Logs(alloc, true, "srv", stream, "start", 0, cancel, nil)
	var text string
	limit := time.After(20 * time.Second)
	for !strings.Contains(text, wanted) {
		select {
		case frame, open := <-frames:
			check(name+": the stream stays open", open, text)
			check(name+": names its file", strings.HasPrefix(frame.File, "alloc/logs/srv."+stream+"."), frame)
			text += string(frame.Data)
		case err := <-errs:
			must(name, err)
		case <-limit:
			check(name, false, text)
		}
	}
	check(name, true)
}

func fileCalls() {
	register(shell("files", "mkdir -p $NOMAD_TASK_DIR; echo content > $NOMAD_ALLOC_DIR/data.txt; "+endless, 1))
	alloc, _, err := client.Allocations().Info(running("files")[0].ID, nil)
	must("Allocations.Info", err)
	readLog("AllocFS.Logs follows stdout", alloc, "stdout", "line 3")
	readLog("AllocFS.Logs follows stderr", alloc, "stderr", "problem")
	frames, errs := client.AllocFS().Logs(alloc, false, "srv", "stdout", "start", 8, nil, nil)
	var text string
	for frame := range frames {
		text += string(frame.Data)
	}
	check("AllocFS.Logs from an offset ends", strings.HasPrefix(text, "line 1\n") && len(errs) == 0, text)
	_, errs = client.AllocFS().Logs(alloc, false, "nope", "stdout", "start", 0, nil, nil)
	refused("AllocFS.Logs of no such task", <-errs, "nope")
	_, errs = client.AllocFS().Logs(alloc, false, "srv", "stdlog", "start", 0, nil, nil)
	refused("AllocFS.Logs of no such stream", <-errs, "stdout")

	list, _, err := client.AllocFS().List(alloc, "/alloc", nil)
	must("AllocFS.List", err)
	check("files: data.txt and logs", len(list) >= 2, list)
	info, _, err := client.AllocFS().Stat(alloc, "/alloc/data.txt", nil)
	must("AllocFS.Stat", err)
	check("stat: size and kind", info.Size == 8 && !info.IsDir && info.Name == "data.txt", info)
	read := func(r io.ReadCloser, err error) string {
		must("AllocFS reads", err)
		defer r.Close()
		content, err := io.ReadAll(r)
		must("AllocFS reads to the end", err)
		return string(content)
	}
	check("AllocFS.Cat", read(client.AllocFS().Cat(alloc, "/alloc/data.txt", nil)) == "content\n")
	check("AllocFS.ReadAt", read(client.AllocFS().ReadAt(alloc, "/alloc/data.txt", 3, 2, nil)) == "te")
	_, err = client.AllocFS().Cat(alloc, "/../../x", nil)
	check("AllocFS.Cat outside the folder is refused", err != nil)
	_, _, err = client.AllocFS().List(alloc, "/srv/secrets", nil)
	refused("secrets are refused", err, "prohibited")
	cancel := make(chan struct{})
	streamed, _ := client.AllocFS().Stream(alloc, "/alloc/data.txt", "start", 0, cancel, nil)
	frame := <-streamed
	close(cancel)
	check("AllocFS.Stream", string(frame.Data) == "content\n", frame)
	remove("files")
}

func execCalls() {
	register(shell("exec", endless, 1))
	alloc, _, err := client.Allocations().Info(running("exec")[0].ID, nil)
	must("Allocations.Info", err)
	var out, errOut bytes.Buffer
	code, err := client.Allocations().Exec(context.Background(), alloc, "srv", false,
		[]string{"/bin/sh", "-c", "read x; echo got $x; echo bad >&2; exit 3"},
		strings.NewReader("word\n"), &out, &errOut, nil, nil)
	must("Allocations.Exec", err)
	check("exec: its code and output", code == 3 && out.String() == "got word\n" && errOut.String() == "bad\n",
		code, out.String(), errOut.String())
	_, err = client.Allocations().Exec(context.Background(), alloc, "other", false,
		[]string{"true"}, strings.NewReader(""), &out, &errOut, nil, nil)
	check("exec: of no task", err != nil && err.Error() == `task "other" not found`, err)
	alloc.ID = "11111111-2222-3333-4444-555555555555"
	_, err = client.Allocations().Exec(context.Background(), alloc, "srv", false,
		[]string{"true"}, strings.NewReader(""), &out, &errOut, nil, nil)
	check("exec: of no allocation", err != nil && err.Error() == `Unknown allocation "`+alloc.ID+`"`, err)
	remove("exec")
}

func nodeCalls() {
	nodes, qm, err := client.Nodes().List(nil)
	must("Nodes.List", err)
	meta("Nodes.List", qm)
	check("nodes: one, ready", len(nodes) == 1 && nodes[0].Status == "ready", nodes)
	id := nodes[0].ID
	full, _, err := client.Nodes().List(&api.QueryOptions{Params: map[string]string{"resources": "true"}})
	must("Nodes.List with resources", err)
	check("nodes: resources where asked for", nodes[0].NodeResources == nil &&
		full[0].NodeResources.Memory.MemoryMB > 0 && full[0].ReservedResources != nil, nodes, full)
	found, _, err := client.Nodes().PrefixList(id[:8])
	must("Nodes.PrefixList", err)
	check("nodes: by prefix", len(found) == 1, found)
	node, _, err := client.Nodes().Info(id, nil)
	must("Nodes.Info", err)
	check("node: resources", node.NodeResources.Cpu.CpuShares > 0 && node.NodeResources.Memory.MemoryMB > 0 &&
		node.ReservedResources != nil, node)
	check("node: raw_exec", node.Drivers["raw_exec"] != nil && node.Drivers["raw_exec"].Healthy, node.Drivers)
	_, _, err = client.Nodes().Info("11111111-2222-3333-4444-555555555555", nil)
	refused("Nodes.Info of nothing", err, "node not found")
	stats, err := client.Nodes().Stats(id, nil)
	must("Nodes.Stats", err)
	check("host stats: memory and uptime", stats.Memory.Total > 0 && stats.Uptime > 0, stats)

	register(shell("drained", endless, 2))
	must("Nodes.GC", client.Nodes().GC(id, nil))
	allocs, _, err := client.Nodes().Allocations(id, nil)
	must("Nodes.Allocations", err)
	whole := 0
	for _, alloc := range allocs {
		if alloc.JobID == "drained" && alloc.Job != nil {
			whole++
		}
	}
	check("node allocations are whole", whole == 2, allocs)
	_, err = client.Nodes().ToggleEligibility(id, false, nil)
	must("Nodes.ToggleEligibility off", err)
	node, _, _ = client.Nodes().Info(id, nil)
	check("node: ineligible", node.SchedulingEligibility == "ineligible", node)
	_, err = client.Nodes().ToggleEligibility(id, true, nil)
	must("Nodes.ToggleEligibility on", err)
	_, _, err = client.Nodes().ForceEvaluate(id, nil)
	must("Nodes.ForceEvaluate", err)

	reply, err := client.Nodes().UpdateDrainOpts(id, &api.DrainOptions{
		DrainSpec: &api.DrainSpec{Deadline: 10 * time.Second},
		Meta:      map[string]string{"message": "new disk"}}, nil)
	must("Nodes.UpdateDrainOpts", err)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var last string
	for message := range client.Nodes().MonitorDrain(ctx, id, reply.NodeModifyIndex, false) {
		last = message.String()
	}
	check("Nodes.MonitorDrain ends", ctx.Err() == nil, last)
	until("nothing of it runs there", func() bool { return len(running("drained")) == 0 })
	node, _, err = client.Nodes().Info(id, nil)
	must("Nodes.Info after the drain", err)
	check("node: its last drain", node.LastDrain != nil &&
		node.LastDrain.Status == api.DrainStatusComplete &&
		node.LastDrain.Meta["message"] == "new disk" &&
		!node.LastDrain.UpdatedAt.Before(node.LastDrain.StartedAt) &&
		time.Since(node.LastDrain.StartedAt) < time.Minute, node.LastDrain)
	check("drained, and ineligible", node.DrainStrategy == nil && node.SchedulingEligibility == "ineligible", node)
	_, err = client.Nodes().UpdateDrain(id, nil, true, nil)
	must("Nodes.UpdateDrain off", err)
	until("the blocked instances run again", func() bool { return len(running("drained")) == 2 })
	remove("drained")
}

func canaryCalls() {
	job := shell("canary", endless, 2)
	job.TaskGroups[0].Update.Canary = ptr(1)
	register(job)
	next := shell("canary", "echo second; "+endless, 2)
	next.TaskGroups[0].Update.Canary = ptr(1)
	reply, _, err := client.Jobs().Register(next, nil)
	must("Jobs.Register with a canary", err)
	evalDone(reply.EvalID)
	var deployment *api.Deployment
	until("the canary is healthy", func() bool {
		deployment, _, err = client.Jobs().LatestDeployment("canary", nil)
		return err == nil && deployment.TaskGroups["g"].HealthyAllocs == 1
	})
	check("waits for promotion", deployment.TaskGroups["g"].DesiredCanaries == 1 &&
		!deployment.TaskGroups["g"].Promoted && deployment.Status == "running", deployment)
	check("three run meanwhile", len(running("canary")) == 3)
	_, _, err = client.Deployments().Pause(deployment.ID, true, nil)
	must("Deployments.Pause", err)
	paused, _, err := client.Deployments().Info(deployment.ID, nil)
	must("Deployments.Info", err)
	check("paused", paused.Status == "paused", paused)
	_, _, err = client.Deployments().Pause(deployment.ID, false, nil)
	must("Deployments.Pause off", err)
	promoted, _, err := client.Deployments().PromoteAll(deployment.ID, nil)
	must("Deployments.PromoteAll", err)
	evalDone(promoted.EvalID)
	deploymentDone("canary", "successful")
	until("two run", func() bool { return len(running("canary")) == 2 })

	third := shell("canary", "echo third; "+endless, 2)
	third.TaskGroups[0].Update.Canary = ptr(1)
	third.TaskGroups[0].Update.AutoRevert = ptr(true)
	reply, _, err = client.Jobs().Register(third, nil)
	must("Jobs.Register with a canary that fails", err)
	evalDone(reply.EvalID)
	deployment, _, err = client.Jobs().LatestDeployment("canary", nil)
	must("Jobs.LatestDeployment", err)
	failed, _, err := client.Deployments().Fail(deployment.ID, nil)
	must("Deployments.Fail", err)
	check("reverted", failed.RevertedJobVersion != nil && *failed.RevertedJobVersion == 1, failed)
	evalDone(failed.EvalID)
	_, _, err = client.Deployments().Fail(deployment.ID, nil)
	check("Deployments.Fail again is refused", err != nil)
	remove("canary")
}

func manualCalls() {
	job := shell("manual", endless, 2)
	job.TaskGroups[0].Update.HealthCheck = ptr("manual")
	reply, _, err := client.Jobs().Register(job, nil)
	must("Jobs.Register with manual health", err)
	evalDone(reply.EvalID)
	until("two run", func() bool { return len(running("manual")) == 2 })
	deployment, _, err := client.Jobs().LatestDeployment("manual", nil)
	must("Jobs.LatestDeployment", err)
	check("nobody said that they are healthy", deployment.TaskGroups["g"].HealthyAllocs == 0, deployment)
	var ids []string
	for _, alloc := range running("manual") {
		ids = append(ids, alloc.ID)
	}
	said, _, err := client.Deployments().SetAllocHealth(deployment.ID, ids, nil, nil)
	must("Deployments.SetAllocHealth", err)
	evalDone(said.EvalID)
	deploymentDone("manual", "successful")
	for _, stable := range []bool{false, true} {
		_, _, err = client.Jobs().Stable("manual", 0, stable, nil)
		must("Jobs.Stable", err)
		job, _, err := client.Jobs().Info("manual", nil)
		must("Jobs.Info", err)
		check("stable as it was said", *job.Stable == stable, *job.Stable)
	}
	remove("manual")
}

func streamCalls() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events, err := client.EventStream().Stream(ctx, map[api.Topic][]string{api.TopicAll: {"*"}}, 0, nil)
	must("EventStream.Stream", err)
	stop := make(chan struct{})
	lines, errs := client.Agent().Monitor(stop, &api.QueryOptions{Params: map[string]string{"log_level": "debug"}})
	register(shell("streamed", endless, 1))
	seen := map[api.Topic]bool{}
	limit := time.After(20 * time.Second)
	for !(seen[api.TopicJob] && seen[api.TopicEvaluation] && seen[api.TopicAllocation] && seen[api.TopicDeployment]) {
		select {
		case batch := <-events:
			must("EventStream: a batch", batch.Err)
			for _, event := range batch.Events {
				seen[event.Topic] = true
				if event.Topic == api.TopicAllocation {
					alloc, err := event.Allocation()
					must("Event.Allocation", err)
					check("event: the allocation", alloc != nil && alloc.ID == event.Key, event)
				}
			}
		case <-limit:
			check("events of each topic", false, seen)
		}
	}
	check("events of each topic", true)
	before, err := client.EventStream().Stream(ctx, map[api.Topic][]string{api.TopicJob: {"streamed"}}, 0, nil)
	must("EventStream.Stream anew", err)
	select {
	case batch := <-before:
		must("EventStream: what was before", batch.Err)
		job, err := batch.Events[0].Job()
		must("Event.Job", err)
		check("event: the job that was there", *job.ID == "streamed", batch)
	case <-time.After(10 * time.Second):
		check("event: the job that was there", false)
	}
	_, err = client.EventStream().Stream(ctx, map[api.Topic][]string{api.TopicJob: {"a:b"}}, 0, nil)
	refused("EventStream.Stream of a wrong topic", err, "400 (error parsing topics: Invalid key value pair")
	select {
	case frame := <-lines:
		check("Agent.Monitor: lines", frame != nil && len(frame.Data) > 0, frame)
	case err := <-errs:
		must("Agent.Monitor", err)
	case <-time.After(10 * time.Second):
		check("Agent.Monitor: lines", false)
	}
	close(stop)
	remove("streamed")
}
