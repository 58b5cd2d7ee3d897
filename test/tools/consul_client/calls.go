package main

import (
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"
)

func ready() {
	until("every service is as it stays", func() bool {
		shop, _, err := client.Health().Service("shop", "", true, nil)
		if err != nil || len(shop) != 2 {
			return false
		}
		for name, status := range map[string]string{"sick": "critical", "dull": "warning"} {
			checks, _, err := client.Health().Checks(name, nil)
			if err != nil || len(checks) != 1 || checks[0].Status != status {
				return false
			}
		}
		bare, _, err := client.Catalog().Service("bare", "", nil)
		return err == nil && len(bare) == 1
	})
}

func catalogCalls() {
	catalog := client.Catalog()
	services, qm, err := catalog.Services(nil)
	must("Catalog.Services", err)
	meta("Catalog.Services", qm)
	check("shop with its tags", sorted(services["shop"]) == "Blue a", services)
	for _, name := range []string{"sick", "dull", "bare", "consul"} {
		tags, there := services[name]
		check(name+" with no tag", there && tags != nil && len(tags) == 0, services)
	}
	services, _, err = catalog.Services(&api.QueryOptions{NodeMeta: map[string]string{"no": "such"}})
	check("Catalog.Services by a node's meta", err == nil && len(services) == 0, services, err)

	nodes, qm, err := catalog.Nodes(nil)
	must("Catalog.Nodes", err)
	meta("Catalog.Nodes", qm)
	check("one node", len(nodes) == 1 && nodes[0].Node == "node-a" && nodes[0].Address == "127.0.0.1" &&
		nodes[0].Datacenter == "dc1" && len(nodes[0].ID) == 36 &&
		nodes[0].TaggedAddresses["lan"] == "127.0.0.1" && nodes[0].TaggedAddresses["wan_ipv4"] == "127.0.0.1",
		nodes)

	shop, qm, err := catalog.Service("shop", "", nil)
	must("Catalog.Service shop", err)
	meta("Catalog.Service shop", qm)
	check("two instances", len(shop) == 2 && shop[0].ServicePort != shop[1].ServicePort, shop)
	for _, s := range shop {
		check("an instance's fields", s.ID == nodes[0].ID && s.Node == "node-a" && s.Address == "127.0.0.1" &&
			s.Datacenter == "dc1" && s.ServiceName == "shop" && s.ServiceAddress == "127.0.0.1" &&
			s.ServicePort > 1024 && sorted(s.ServiceTags) == "Blue a" && s.ServiceMeta["team"] == "x" &&
			s.ServiceWeights == api.Weights{Passing: 1, Warning: 1} && !s.ServiceEnableTagOverride &&
			s.ServiceTaggedAddresses["lan_ipv4"].Port == s.ServicePort &&
			strings.HasPrefix(s.ServiceID, "_sluice-") && s.CreateIndex > 0 && s.ModifyIndex >= s.CreateIndex, s)
	}
	for tag, count := range map[string]int{"a": 2, "blue": 2, "A": 2, "no": 0} {
		found, _, err := catalog.Service("SHOP", tag, nil)
		check("Catalog.Service by tag "+tag, err == nil && len(found) == count, found, err)
	}
	found, _, err := catalog.ServiceMultipleTags("shop", []string{"a", "no"}, nil)
	check("both tags are wanted", err == nil && len(found) == 0, found, err)
	none, qm, err := catalog.Service("nope", "", nil)
	check("a service that is not there", err == nil && none != nil && len(none) == 0 && qm.LastIndex > 0, none, err)
	found, _, err = catalog.Service("shop", "",
		&api.QueryOptions{Filter: fmt.Sprintf("ServicePort == %d", shop[0].ServicePort)})
	check("Catalog.Service by a filter", err == nil && len(found) == 1 &&
		found[0].ServiceID == shop[0].ServiceID, found, err)

	node, qm, err := catalog.Node("node-a", nil)
	must("Catalog.Node", err)
	meta("Catalog.Node", qm)
	check("the node's services", node.Node.ID == nodes[0].ID && node.Services[shop[0].ServiceID] != nil &&
		node.Services[shop[0].ServiceID].Port == shop[0].ServicePort, node)
	node, _, err = catalog.Node("nope", nil)
	check("a node that is not there", err == nil && node == nil, node, err)
	list, _, err := catalog.NodeServiceList("node-a", &api.QueryOptions{Filter: `Service == "shop"`})
	check("Catalog.NodeServiceList by a filter", err == nil && len(list.Services) == 2, list, err)

	dcs, err := catalog.Datacenters()
	check("Catalog.Datacenters", err == nil && len(dcs) == 1 && dcs[0] == "dc1", dcs, err)
	leader, err := client.Status().Leader()
	check("Status.Leader", err == nil && strings.HasPrefix(leader, "127.0.0.1:"), leader, err)
	peers, err := client.Status().Peers()
	check("Status.Peers", err == nil && len(peers) == 1 && peers[0] == leader, peers, err)
}

func healthCalls() {
	any, qm := entries("shop", nil, false, nil)
	meta("Health.Service shop", qm)
	check("two entries", len(any) == 2, any)
	for _, entry := range any {
		check("an entry's fields", entry.Node.Node == "node-a" && entry.Node.Meta != nil &&
			entry.Service.Service == "shop" && entry.Service.Port > 1024 && entry.Service.Address == "127.0.0.1" &&
			sorted(entry.Service.Tags) == "Blue a" && entry.Service.Meta["team"] == "x" &&
			entry.Service.Weights == api.AgentWeights{Passing: 1, Warning: 1} && entry.Service.CreateIndex > 0 &&
			entry.Checks.AggregatedStatus() == api.HealthPassing, entry)
		check("its node's check and its own", len(entry.Checks) == 2, entry.Checks)
		for _, c := range entry.Checks {
			if c.CheckID == "serfHealth" {
				check("the node's check", c.ServiceID == "" && c.Status == "passing" && c.Name == "Serf Health Status", c)
				continue
			}
			check("the service's check", c.ServiceID == entry.Service.ID && c.ServiceName == "shop" &&
				c.Node == "node-a" && c.Name == "alive" && c.Status == "passing" && c.Type == "http" &&
				strings.HasPrefix(c.CheckID, entry.Service.ID) && sorted(c.ServiceTags) == "Blue a" &&
				strings.Contains(c.Output, "200 OK"), c)
		}
	}
	for _, want := range []struct {
		service string
		tags    []string
		passing bool
		count   int
	}{
		{"shop", nil, true, 2}, {"shop", []string{"a", "BLUE"}, true, 2}, {"shop", []string{"a", "no"}, false, 0},
		{"sick", nil, false, 1}, {"sick", nil, true, 0}, {"dull", nil, false, 1}, {"dull", nil, true, 0},
		{"bare", nil, true, 1}, {"consul", nil, true, 1}, {"nope", nil, false, 0},
	} {
		found, _ := entries(want.service, want.tags, want.passing, nil)
		check(fmt.Sprintf("%d of them", want.count), found != nil && len(found) == want.count, found)
	}
	for filter, count := range map[string]int{
		"Checks.Status == passing": 2, "Checks.Status == critical": 0, "Checks.Status != critical": 2,
		`Service.Meta.team == x and "a" in Service.Tags`: 2, `Node.Node != "node-a"`: 0,
		"Service.Meta is not empty": 2, `Service.Service matches "^sh" and not Service.Port == 1`: 2,
		fmt.Sprintf("Service.Port == %d", any[0].Service.Port): 1,
	} {
		found, _ := entries("shop", nil, false, &api.QueryOptions{Filter: filter})
		check(fmt.Sprintf("filter %s: %d", filter, count), len(found) == count, found)
	}
	near, _ := entries("shop", nil, false, &api.QueryOptions{Near: "_agent"})
	check("nearest first is everybody on one node", len(near) == 2, near)

	for state, want := range map[string]string{"critical": "sick", "warning": "dull"} {
		checks, qm, err := client.Health().State(state, nil)
		must("Health.State "+state, err)
		meta("Health.State "+state, qm)
		check("it alone", len(checks) == 1 && checks[0].ServiceName == want && checks[0].Status == state, checks)
	}
	counts := map[string]int{}
	all, _, err := client.Health().State("any", nil)
	must("Health.State any", err)
	for _, c := range all {
		counts[c.ServiceName+" "+c.Status]++
	}
	check("every check", len(all) == 5 && counts["shop passing"] == 2 && counts["sick critical"] == 1 &&
		counts["dull warning"] == 1 && counts[" passing"] == 1, counts)
	passing, _, err := client.Health().State("passing", &api.QueryOptions{Filter: `ServiceName == "shop"`})
	check("Health.State by a filter", err == nil && len(passing) == 2, passing, err)
	node, _, err := client.Health().Node("node-a", nil)
	check("Health.Node", err == nil && len(node) == 5, node, err)
	node, _, err = client.Health().Node("nope", nil)
	check("Health.Node of none", err == nil && len(node) == 0, node, err)
	checks, qm, err := client.Health().Checks("shop", nil)
	must("Health.Checks", err)
	meta("Health.Checks", qm)
	check("two checks", len(checks) == 2 && checks[0].ServiceName == "shop", checks)
}

func agentCalls() {
	services, err := client.Agent().Services()
	must("Agent.Services", err)
	names := map[string]int{}
	for id, service := range services {
		names[service.Service]++
		check("a service of the agent", service.ID == id && service.Datacenter == "dc1" &&
			service.Address == "127.0.0.1" && service.Weights.Passing == 1, service)
	}
	check("all of them", len(services) == 5 && names["shop"] == 2 && names["bare"] == 1, names)
	services, err = client.Agent().ServicesWithFilter(`Service == "shop" and a in Tags`)
	check("Agent.ServicesWithFilter", err == nil && len(services) == 2, services, err)
	for id, service := range services {
		one, qm, err := client.Agent().Service(id, nil)
		must("Agent.Service", err)
		check("the same, with its hash", one.ID == id && one.Port == service.Port && one.ContentHash != "" &&
			qm.LastContentHash == one.ContentHash, one, qm)
	}
	_, _, err = client.Agent().Service("nope", nil)
	refused("Agent.Service of none", err, "unknown service ID: nope")
	checks, err := client.Agent().Checks()
	must("Agent.Checks", err)
	check("the services' checks, by their ids", len(checks) == 4, checks)
	for id, c := range checks {
		check("a check of the agent", c.CheckID == id && c.ServiceName != "" && c.Node == "node-a", c)
	}
	checks, err = client.Agent().ChecksWithFilter("Status == critical")
	check("Agent.ChecksWithFilter", err == nil && len(checks) == 1, checks, err)
	name, err := client.Agent().NodeName()
	check("Agent.NodeName", err == nil && name == "node-a", name, err)
	self, err := client.Agent().Self()
	check("Agent.Self", err == nil && self["Config"]["Datacenter"] == "dc1" && self["Config"]["Server"] == true &&
		self["Member"]["Addr"] == "127.0.0.1", self["Config"], err)
	members, err := client.Agent().Members(false)
	check("Agent.Members", err == nil && len(members) == 1 && members[0].Name == "node-a" &&
		members[0].Status == 1 && members[0].Tags["dc"] == "dc1", members, err)
}

func refusals() {
	far := &api.QueryOptions{Datacenter: "dc9"}
	_, _, err := client.Catalog().Services(far)
	refused("another datacenter's services", err, "No path to datacenter")
	_, _, err = client.Health().Service("shop", "", true, far)
	refused("another datacenter's instances", err, "No path to datacenter")
	for filter, text := range map[string]string{
		"Nope == 1":         `Selector "Nope" is not valid`,
		"Service.Nope == 1": `Selector "Service.Nope" is not valid`,
		"Service.Port == x": `Failed to coerce value "x" for selector "Service.Port"`,
		"((":                "Failed to create boolean expression evaluator",
	} {
		_, _, err = client.Health().Service("shop", "", false, &api.QueryOptions{Filter: filter})
		refused("filter "+filter, err, text)
	}
	_, _, err = client.Health().Service("shop", "", false,
		&api.QueryOptions{AllowStale: true, RequireConsistent: true})
	refused("stale and consistent", err, "Cannot specify ?stale with ?consistent")
	pair, qm, err := client.KV().Get("no/such", nil)
	check("a key that is not there", err == nil && pair == nil && qm.LastIndex > 0, pair, err)
	pairs, _, err := client.KV().List("no/", nil)
	check("keys that are not there", err == nil && len(pairs) == 0, pairs, err)
	for _, q := range []*api.QueryOptions{{AllowStale: true}, {RequireConsistent: true}, {UseCache: true}} {
		found, _ := entries("shop", nil, false, q)
		check("however it is asked", len(found) == 2, found)
	}
}
