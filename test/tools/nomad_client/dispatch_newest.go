//go:build newest

package main

import "github.com/hashicorp/nomad/api"

// dispatch as the newest library has it, with an id prefix.
func dispatch(client *api.Client, job string, meta map[string]string,
	payload []byte, options *api.WriteOptions) (*api.JobDispatchResponse, *api.WriteMeta, error) {
	return client.Jobs().Dispatch(job, meta, payload, "by-client", options)
}
