// Package report is what the programs share: one JSON document at the end, and errors that end the program.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Must ends the program with an error.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// Got answers a value, or ends the program with the error that came instead.
func Got[T any](value T, err error) T {
	Must(err)
	return value
}

// Print writes the one JSON document.
func Print(value any) {
	Must(json.NewEncoder(os.Stdout).Encode(value))
}

// Name is an error's text, or "" for none.
func Name(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Until waits for a condition; false when it did not come true within two minutes, in which even a slow machine gets on.
func Until(condition func() bool) bool {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if condition() {
			return true
		}
	}
	return false
}

// Arguments of every program: case, address, name, and what the case wants besides.
func Arguments() (which, address, name string, more []string) {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: PROGRAM CASE HOST:PORT NAME [ARG...]")
		os.Exit(2)
	}
	return os.Args[1], os.Args[2], os.Args[3], os.Args[4:]
}
