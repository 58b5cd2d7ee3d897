// Reads a catalog through Consul's own client library: the same questions, with the same answers,
// to a real Consul and to sluice's embedded catalog. Prints a line a check; ends with 1 at the first
// that fails.
//
//	consul_client -addr http://127.0.0.1:8500 -jobs http://127.0.0.1:4646
//
// Behind -jobs is the agent that has registered, in that catalog, the services of the job that
// test/e2e/consul_client_test.py runs: "shop" (two instances, tags a and Blue, passing), "sick"
// (critical), "dull" (warning) and "bare" (no check).
package main

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"sort"
	"strings"

	"github.com/hashicorp/consul/api"

	"sluice/test/tools/expect"
)

var (
	client *api.Client
	jobs   string
)

// As these files say them.
var check, must, refused, until = expect.That, expect.Must, expect.Refused, expect.Until

func meta(name string, qm *api.QueryMeta) {
	check(name+": index, leader and contact",
		qm.LastIndex > 0 && qm.KnownLeader && qm.LastContact == 0, qm)
}

func sorted(items []string) string {
	out := append([]string(nil), items...)
	sort.Strings(out)
	return strings.Join(out, " ")
}

// scale changes the count of the job's group "shop", once no deployment is under way.
func scale(count int) {
	body := fmt.Sprintf(`{"Target":{"Group":"shop"},"Count":%d,"Message":"test"}`, count)
	until(fmt.Sprintf("scale to %d", count), func() bool {
		answer, err := http.Post(jobs+"/v1/job/shop/scale", "application/json",
			bytes.NewReader([]byte(body)))
		must("scale", err)
		defer answer.Body.Close()
		return answer.StatusCode == 200
	})
}

func entries(name string, tags []string, passing bool, q *api.QueryOptions) ([]*api.ServiceEntry, *api.QueryMeta) {
	found, qm, err := client.Health().ServiceMultipleTags(name, tags, passing, q)
	must(fmt.Sprintf("Health.Service %s %v passing=%v", name, tags, passing), err)
	return found, qm
}

func main() {
	addr := flag.String("addr", "http://127.0.0.1:8500", "the catalog")
	flag.StringVar(&jobs, "jobs", "http://127.0.0.1:4646", "the agent's jobs API")
	flag.Parse()
	config := api.DefaultConfig()
	config.Address = *addr
	var err error
	client, err = api.NewClient(config)
	must("NewClient", err)
	for _, part := range []struct {
		name string
		run  func()
	}{
		{"ready", ready}, {"catalog", catalogCalls}, {"health", healthCalls},
		{"agent", agentCalls}, {"refusals", refusals}, {"blocking", blocking},
	} {
		fmt.Println("---- ", part.name)
		part.run()
	}
	fmt.Println("all questions answered as Consul's client expects")
}
