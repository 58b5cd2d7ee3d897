package main

import (
	"time"

	"github.com/hashicorp/nomad/api"
)

func scalingCalls() {
	job := shell("scaled", endless, 2)
	job.TaskGroups[0].Scaling = &api.ScalingPolicy{Min: ptr(int64(1)), Max: ptr(int64(3)),
		Enabled: ptr(true), Policy: map[string]interface{}{"cooldown": "1m"}}
	register(job)
	policies, qm, err := client.Scaling().ListPolicies(nil)
	must("Scaling.ListPolicies", err)
	meta("Scaling.ListPolicies", qm)
	check("policies: one, of its group", len(policies) == 1 && policies[0].Target["Job"] == "scaled" &&
		policies[0].Target["Group"] == "g" && policies[0].Enabled, policies)
	policy, _, err := client.Scaling().GetPolicy(policies[0].ID, nil)
	must("Scaling.GetPolicy", err)
	check("policy: its bounds and words", *policy.Min == 1 && *policy.Max == 3 &&
		policy.Policy["cooldown"] == "1m", policy)
	_, _, err = client.Scaling().GetPolicy("11111111-2222-3333-4444-555555555555", nil)
	refused("Scaling.GetPolicy of nothing", err, "policy not found")
	_, _, err = client.Jobs().Scale("scaled", "g", ptr(4), "too many", false, nil, nil)
	refused("Jobs.Scale above the maximum", err, "maximum: 4 > 3")
	_, _, err = client.Jobs().Scale("scaled", "g", ptr(0), "too few", false, nil, nil)
	refused("Jobs.Scale below the minimum", err, "minimum: 0 < 1")
	reply, _, err := client.Jobs().Scale("scaled", "g", ptr(3), "more", false, nil, nil)
	must("Jobs.Scale", err)
	evalDone(reply.EvalID)
	until("three run", func() bool { return len(running("scaled")) == 3 })
	deploymentDone("scaled", "successful")
	said, _, err := client.Jobs().Scale("scaled", "g", nil, "no metrics", true,
		map[string]interface{}{"tries": 3}, nil)
	must("Jobs.Scale without a count", err)
	check("scale: nothing to evaluate", said.EvalID == "" && said.JobModifyIndex == reply.JobModifyIndex, said)
	_, _, err = client.Jobs().Scale("scaled", "g", ptr(2), "failed", true, nil, nil)
	refused("Jobs.Scale with a count and an error", err, "should not contain count if error is true")
	status, qm, err := client.Jobs().ScaleStatus("scaled", nil)
	must("Jobs.ScaleStatus", err)
	meta("Jobs.ScaleStatus", qm)
	group := status.TaskGroups["g"]
	check("scale status: its counts", group.Desired == 3 && group.Placed == 3 &&
		group.Running == 3 && group.Healthy == 3 && group.Unhealthy == 0, group)
	check("scale status: its events, newest first", len(group.Events) == 2 &&
		group.Events[0].Error && group.Events[0].Count == nil &&
		group.Events[0].Meta["tries"] == 3.0 &&
		group.Events[0].CreateIndex > group.Events[1].CreateIndex &&
		*group.Events[1].Count == 3 && group.Events[1].PreviousCount == 2 &&
		*group.Events[1].EvalID == reply.EvalID && group.Events[1].Message == "more", group.Events)
	remove("scaled")
}

func aclCalls() {
	_, _, err := client.Jobs().List(nil)
	refused("Jobs.List without a token", err, "Permission denied")
	_, err = client.Status().Leader()
	must("Status.Leader needs no token", err)
	_, _, err = client.ACLTokens().BootstrapOpts("badtoken", nil)
	refused("ACLTokens.BootstrapOpts with no secret", err, "400 (invalid acl token)")
	const secret = "2b778dd9-f5f1-6f29-b4b4-9a5fa948757a"
	token, _, err := client.ACLTokens().BootstrapOpts(secret, nil)
	must("ACLTokens.BootstrapOpts", err)
	check("bootstrap: a management token", token.Type == "management" && token.SecretID == secret &&
		token.AccessorID != "", token)
	_, _, err = client.ACLTokens().Bootstrap(nil)
	refused("ACLTokens.Bootstrap again", err, "ACL bootstrap already done")
	client.SetSecretID(token.SecretID)
	register(shell("guarded", endless, 1))

	policy := &api.ACLPolicy{Name: "readers", Description: "may look", Rules: `
namespace "default" {
  policy = "read"
}
node {
  policy = "read"
}`}
	_, err = client.ACLPolicies().Upsert(policy, nil)
	must("ACLPolicies.Upsert", err)
	_, err = client.ACLPolicies().Upsert(&api.ACLPolicy{Name: "broken", Rules: `namespace "x" { policy = "all" }`}, nil)
	refused("ACLPolicies.Upsert of wrong rules", err, "policy")
	list, _, err := client.ACLPolicies().List(nil)
	must("ACLPolicies.List", err)
	check("policies: one", len(list) == 1 && list[0].Name == "readers", list)
	info, _, err := client.ACLPolicies().Info("readers", nil)
	must("ACLPolicies.Info", err)
	check("policy: its rules", info.Rules == policy.Rules, info)
	reader, _, err := client.ACLTokens().Create(&api.ACLToken{Name: "r", Type: "client",
		Policies: []string{"readers"}}, nil)
	must("ACLTokens.Create", err)
	_, _, err = client.ACLTokens().Create(&api.ACLToken{Type: "client"}, nil)
	refused("ACLTokens.Create without policies", err, "missing policies")
	short, _, err := client.ACLTokens().Create(&api.ACLToken{Type: "management",
		ExpirationTTL: time.Second}, nil)
	must("ACLTokens.Create with an end", err)
	changed := *reader
	changed.ExpirationTTL = time.Minute
	_, _, err = client.ACLTokens().Update(&changed, nil)
	refused("ACLTokens.Update with another end", err, "400 (cannot update expiration TTL)")
	tokens, _, err := client.ACLTokens().List(nil)
	must("ACLTokens.List", err)
	check("tokens: three", len(tokens) == 3, tokens)

	client.SetSecretID(reader.SecretID)
	self, _, err := client.ACLTokens().Self(nil)
	must("ACLTokens.Self", err)
	check("self: the reader", self.AccessorID == reader.AccessorID, self)
	ownPolicies(policy.Name)
	jobs, _, err := client.Jobs().List(nil)
	must("Jobs.List of a reader", err)
	check("jobs: one", len(jobs) == 1, jobs)
	_, _, err = client.Nodes().List(nil)
	must("Nodes.List of a reader", err)
	_, _, err = client.Jobs().Register(shell("guarded", endless, 2), nil)
	refused("Jobs.Register of a reader", err, "Permission denied")
	_, _, err = client.Jobs().Deregister("guarded", false, nil)
	refused("Jobs.Deregister of a reader", err, "Permission denied")
	_, _, err = client.Jobs().List(&api.QueryOptions{Namespace: "other"})
	refused("Jobs.List of another namespace", err, "Permission denied")
	stub := running("guarded")[0]
	alloc, _, err := client.Allocations().Info(stub.ID, nil)
	must("Allocations.Info of a reader", err)
	refused("Allocations.Restart of a reader", client.Allocations().Restart(alloc, "", nil),
		"Permission denied")
	_, err = client.Agent().Self()
	refused("Agent.Self of a reader", err, "Permission denied")
	_, _, err = client.ACLTokens().List(nil)
	refused("ACLTokens.List of a reader", err, "Permission denied")

	time.Sleep(time.Second)
	client.SetSecretID(short.SecretID)
	_, _, err = client.Jobs().List(nil)
	refused("a token past its end", err, "ACL token not found")
	client.SetSecretID(token.SecretID)
	_, err = client.ACLTokens().Delete(reader.AccessorID, nil)
	must("ACLTokens.Delete", err)
	_, err = client.ACLPolicies().Delete("readers", nil)
	must("ACLPolicies.Delete", err)
	client.SetSecretID(reader.SecretID)
	_, _, err = client.Jobs().List(nil)
	refused("a token that was deleted", err, "ACL token not found")
	client.SetSecretID(token.SecretID)
	remove("guarded")
}
