//go:build newest

package main

import "github.com/hashicorp/nomad/api"

// dispatch as the newest library has it, with an id prefix.
func dispatch(client *api.Client, job string, meta map[string]string,
	payload []byte, options *api.WriteOptions) (*api.JobDispatchResponse, *api.WriteMeta, error) {
	return client.Jobs().Dispatch(job, meta, payload, "by-client", options)
}

// newerCalls are those that the older library does not have.
func newerCalls() {
	pools, qm, err := client.NodePools().List(nil)
	must("NodePools.List", err)
	meta("NodePools.List", qm)
	check("node pools: two", len(pools) == 2 && pools[0].Name == "all" && pools[1].Name == "default", pools)
	pool, _, err := client.NodePools().Info("default", nil)
	must("NodePools.Info", err)
	check("node pool: what it is", pool.Description == "Default node pool.", pool)
	_, _, err = client.NodePools().Info("gpu", nil)
	refused("NodePools.Info of none", err, "node pool not found")
	nodes, _, err := client.NodePools().ListNodes("default", nil)
	must("NodePools.ListNodes", err)
	check("node pool: its node", len(nodes) == 1 && nodes[0].NodePool == "default", nodes)
	_, err = client.NodePools().Register(&api.NodePool{Name: "gpu"}, nil)
	refused("NodePools.Register", err, "405")

	job := shell("told", endless, 1)
	reply, _, err := client.Jobs().RegisterOpts(job, &api.RegisterOptions{Submission: &api.JobSubmission{
		Source: "job \"told\" {}", Format: "hcl2", VariableFlags: map[string]string{"x": "1"},
		Variables: "y = 2"}}, nil)
	must("Jobs.RegisterOpts with a submission", err)
	evalDone(reply.EvalID)
	jobs, _, err := client.NodePools().ListJobs("default", nil)
	must("NodePools.ListJobs", err)
	check("node pool: its job", len(jobs) == 1 && jobs[0].ID == "told", jobs)
	text, _, err := client.Jobs().Submission("told", 0, nil)
	must("Jobs.Submission", err)
	check("submission: as it was sent", text.Source == "job \"told\" {}" && text.Format == "hcl2" &&
		text.VariableFlags["x"] == "1" && text.Variables == "y = 2", text)
	_, _, err = client.Jobs().Submission("told", 1, nil)
	refused("Jobs.Submission of no version", err, "job source not found")
	services, _, err := client.Jobs().Services("told", nil)
	must("Jobs.Services", err)
	check("services: none of Nomad's own", len(services) == 0, services)
	count, _, err := client.Evaluations().Count(&api.QueryOptions{Filter: `JobID == "told"`})
	must("Evaluations.Count", err)
	check("evaluations: counted", count.Count >= 1, count)
	remove("told")
}

// ownPolicies asks, as a token of one policy, for its own.
func ownPolicies(name string) {
	own, _, err := client.ACLPolicies().Self(nil)
	must("ACLPolicies.Self", err)
	check("policies: the token's own", len(own) == 1 && own[0].Name == name, own)
}
