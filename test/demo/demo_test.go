//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDemo shows the demo to a file: every promise must be kept.
func TestDemo(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "screen"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	err = demonstrate(newScreen(out), "", time.Second, nil)
	shown, _ := os.ReadFile(out.Name())
	if err != nil || !strings.Contains(string(shown), "What came out:") || strings.Contains(string(shown), "\x1b") {
		t.Errorf("%v\n%s", err, shown)
	}
}
