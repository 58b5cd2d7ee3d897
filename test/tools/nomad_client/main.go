// Drives a running agent through Nomad's own client library: every call that Nomad's command line
// makes, with what it must answer. Prints a line a check; ends with 1 at the first that fails.
//
//	nomad_client -addr http://127.0.0.1:4646
//
// The agent must be able to run raw_exec tasks. The program leaves no job behind.
package main

import (
	"flag"
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"

	"sluice/test/tools/expect"
)

var client *api.Client

// As these files say them.
var check, must, refused, until = expect.That, expect.Must, expect.Refused, expect.Until

func meta(name string, qm *api.QueryMeta) {
	check(name+": index and leader", qm.LastIndex > 0 && qm.KnownLeader, qm)
}

func ptr[T any](value T) *T { return &value }

// shell is a job of one group with `count` instances of a shell script.
func shell(id, script string, count int) *api.Job {
	job := api.NewServiceJob(id, id, "global", 50).AddDatacenter("dc1")
	task := api.NewTask("srv", "raw_exec").
		SetConfig("command", "/bin/sh").SetConfig("args", []string{"-c", script})
	task.Resources = &api.Resources{CPU: ptr(20), MemoryMB: ptr(20)}
	task.KillTimeout = ptr(2 * time.Second)
	group := api.NewTaskGroup("g", count).AddTask(task)
	group.Update = &api.UpdateStrategy{
		MinHealthyTime: ptr(100 * time.Millisecond), HealthCheck: ptr("task_states"),
		HealthyDeadline: ptr(20 * time.Second), ProgressDeadline: ptr(30 * time.Second),
		MaxParallel: ptr(10)}
	return job.AddTaskGroup(group)
}

const endless = "echo started; echo problem >&2; i=0; while true; do i=$((i+1)); echo line $i; sleep 1; done"

// register runs a job and waits until its deployment is over; it must be successful.
func register(job *api.Job) *api.JobRegisterResponse {
	reply, _, err := client.Jobs().Register(job, nil)
	must("Jobs.Register "+*job.ID, err)
	evalDone(reply.EvalID)
	deploymentDone(*job.ID, "successful")
	return reply
}

func evalDone(id string) *api.Evaluation {
	var eval *api.Evaluation
	until("Evaluations.Info "+id[:8]+" ends", func() bool {
		var err error
		eval, _, err = client.Evaluations().Info(id, nil)
		return err == nil && eval.Status == "complete"
	})
	return eval
}

// deploymentDone follows the newest deployment with blocking queries.
func deploymentDone(job, status string) *api.Deployment {
	deployment, _, err := client.Jobs().LatestDeployment(job, nil)
	must("Jobs.LatestDeployment "+job, err)
	check("Jobs.LatestDeployment "+job+" is there", deployment != nil)
	q := &api.QueryOptions{WaitTime: 2 * time.Second}
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		info, qm, err := client.Deployments().Info(deployment.ID, q)
		must("Deployments.Info "+deployment.ID[:8], err)
		if info.Status != "running" && info.Status != "pending" {
			check("deployment of "+job+" is "+status, info.Status == status, info)
			return info
		}
		check("Deployments.Info blocks: the index does not fall", qm.LastIndex >= q.WaitIndex, qm)
		q.WaitIndex = qm.LastIndex
	}
	check("deployment of "+job+" ends", false)
	return nil
}

func running(job string) []*api.AllocationListStub {
	stubs, _, err := client.Jobs().Allocations(job, false, nil)
	must("Jobs.Allocations "+job, err)
	var found []*api.AllocationListStub
	for _, stub := range stubs {
		if stub.ClientStatus == "running" && stub.DesiredStatus == "run" {
			found = append(found, stub)
		}
	}
	return found
}

func remove(job string) {
	_, _, err := client.Jobs().Deregister(job, true, nil)
	must("Jobs.Deregister "+job+" purge", err)
	until("nothing of "+job+" runs", func() bool { return len(running(job)) == 0 })
}

func main() {
	addr := flag.String("addr", "http://127.0.0.1:4646", "the agent's API")
	flag.Parse()
	config := api.DefaultConfig()
	config.Address = *addr
	var err error
	client, err = api.NewClient(config)
	must("NewClient", err)

	parts := []struct {
		name string
		run  func()
	}{
		{"agent", agentCalls}, {"jobs", jobCalls}, {"lists", listCalls}, {"versions", versionCalls},
		{"allocations", allocCalls}, {"files", fileCalls}, {"nodes", nodeCalls},
		{"canary", canaryCalls}, {"manual", manualCalls}, {"batch", batchCalls}, {"failures", failureCalls},
		{"search", searchCalls}, {"stream", streamCalls}, {"exec", execCalls},
		{"scaling", scalingCalls}, {"newer", newerCalls}, {"acl", aclCalls},
	}
	for _, part := range parts {
		// An agent with access control refuses the other parts.
		if flag.Arg(0) != part.name && (flag.NArg() > 0 || part.name == "acl") {
			continue
		}
		fmt.Println("---- ", part.name)
		part.run()
	}
	fmt.Println("all calls answered as Nomad's client expects")
}
