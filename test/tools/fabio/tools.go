//go:build tools

// Package tools pins the fabio that the end-to-end tests compare sluice with.
package tools

import _ "github.com/fabiolb/fabio"
