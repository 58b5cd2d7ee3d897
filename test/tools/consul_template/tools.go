//go:build tools

// Package tools pins the consul-template that reads the embedded catalog in the end-to-end tests.
package tools

import _ "github.com/hashicorp/consul-template"
