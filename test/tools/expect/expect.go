// Package expect is how the clients of test/tools say what an answer must be: a line a check, and
// the program ends with 1 at the first that fails.
package expect

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// That ends the program where an answer is not what it must be.
func That(name string, ok bool, got ...interface{}) {
	if ok {
		fmt.Println("ok  ", name)
		return
	}
	fmt.Println("FAIL", name, fmt.Sprintf("%+v", got))
	os.Exit(1)
}

// Must ends the program where a call that should work does not.
func Must(name string, err error) {
	That(name, err == nil, err)
}

// Refused wants an error that holds the text.
func Refused(name string, err error, text string) {
	That(name, err != nil && strings.Contains(err.Error(), text), err)
}

// Until asks again until it is so.
func Until(name string, ready func() bool) {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ready() {
			That(name, true)
			return
		}
	}
	That(name, false, "not within 60 s")
}
