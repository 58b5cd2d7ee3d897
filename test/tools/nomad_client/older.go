//go:build !newest

package main

import "github.com/hashicorp/nomad/api"

// dispatch as the library has it up to Nomad 1.5: without an id prefix.
func dispatch(client *api.Client, job string, meta map[string]string,
	payload []byte, options *api.WriteOptions) (*api.JobDispatchResponse, *api.WriteMeta, error) {
	return client.Jobs().Dispatch(job, meta, payload, options)
}

// newerCalls are those that this library does not have.
func newerCalls() {}

func ownPolicies(string) {}
