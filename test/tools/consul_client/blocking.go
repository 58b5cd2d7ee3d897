package main

import (
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"
)

// blocked asks until `enough` says so, each time for what comes after the last answer.
func blocked(name string, index uint64, ask func(q *api.QueryOptions) (int, *api.QueryMeta, error), enough int) uint64 {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		count, qm, err := ask(&api.QueryOptions{WaitIndex: index, WaitTime: 30 * time.Second})
		must(name, err)
		check(fmt.Sprintf("%s: woken with a higher index (%d there)", name, count), qm.LastIndex > index, qm, index)
		index = qm.LastIndex
		if count == enough {
			return index
		}
	}
	check(name, false, "not within 30 s")
	return 0
}

func health(q *api.QueryOptions) (int, *api.QueryMeta, error) {
	found, qm, err := client.Health().Service("shop", "", true, q)
	return len(found), qm, err
}

func instances(q *api.QueryOptions) (int, *api.QueryMeta, error) {
	found, qm, err := client.Catalog().Service("shop", "", q)
	return len(found), qm, err
}

func checks(q *api.QueryOptions) (int, *api.QueryMeta, error) {
	found, qm, err := client.Health().State("passing", q)
	return len(found), qm, err
}

func blocking() {
	questions := map[string]func(q *api.QueryOptions) (int, *api.QueryMeta, error){
		"Health.Service": health, "Catalog.Service": instances, "Health.State": checks}
	more := map[string]int{"Health.Service": 3, "Catalog.Service": 3, "Health.State": 4}
	indexes := map[string]uint64{}
	for name, ask := range questions {
		count, qm, err := ask(nil)
		must(name, err)
		check(name+" now", count == more[name]-1, count)
		indexes[name] = qm.LastIndex

		begin := time.Now()
		count, qm, err = ask(&api.QueryOptions{WaitIndex: qm.LastIndex, WaitTime: 400 * time.Millisecond})
		took := time.Since(begin)
		must(name+" that nothing wakes", err)
		check("it answers after its wait with the same", took >= 400*time.Millisecond && took < 10*time.Second &&
			count == more[name]-1 && qm.LastIndex == indexes[name], took, count, qm)
	}
	count, _, err := health(&api.QueryOptions{WaitIndex: 1, WaitTime: 20 * time.Second})
	check("an old index is answered at once", err == nil && count == 2, count, err)

	// Of another service: what happens to "shop" is nothing to it.
	_, qm, err := client.Health().Service("sick", "", false, nil)
	must("Health.Service sick", err)
	quiet := make(chan time.Duration)
	go func(index uint64) {
		begin := time.Now()
		_, got, err := client.Health().Service("sick", "", false,
			&api.QueryOptions{WaitIndex: index, WaitTime: 3 * time.Second})
		if err != nil || got.LastIndex != index {
			begin = time.Now()
		}
		quiet <- time.Since(begin)
	}(qm.LastIndex)

	type end struct {
		name  string
		index uint64
	}
	ends := make(chan end)
	for name, ask := range questions {
		go func(name string, ask func(q *api.QueryOptions) (int, *api.QueryMeta, error), index uint64) {
			ends <- end{name, blocked(name+" grows", index, ask, more[name])}
		}(name, ask, indexes[name])
	}
	scale(3)
	for range questions {
		done := <-ends
		indexes[done.name] = done.index
	}
	slept := <-quiet
	check("another service's query slept on", slept >= 3*time.Second, slept)

	scale(2)
	for name, ask := range questions {
		blocked(name+" shrinks", indexes[name], ask, more[name]-1)
	}

	none, qm, err := client.Health().Service("nope", "", false, nil)
	must("Health.Service nope", err)
	begin := time.Now()
	none, _, err = client.Health().Service("nope", "", false,
		&api.QueryOptions{WaitIndex: qm.LastIndex, WaitTime: 300 * time.Millisecond})
	check("what is not there can be waited for", err == nil && len(none) == 0 &&
		time.Since(begin) >= 300*time.Millisecond, none, err)
}
