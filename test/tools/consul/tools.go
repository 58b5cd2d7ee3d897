//go:build tools

// Package tools pins the Consul that the end-to-end tests run against.
package tools

import _ "github.com/hashicorp/consul"
