package host

import (
	"fmt"
	"os"
	"testing"
)

func TestOwnerGone(t *testing.T) {
	pid, start := os.Getpid(), startTime(os.Getpid())
	if start == 0 {
		t.Fatal("this process has no start time")
	}
	for _, c := range []struct {
		name string
		want bool
	}{
		{fmt.Sprintf("%s%d-%d-3", prefix, pid, start), false},
		{fmt.Sprintf("%s%d-%d", prefix, pid, start), false},
		{fmt.Sprintf("%s%d-%d", prefix, pid, start+1), true}, // the pid was reused
		{prefix + "4194305-7-1", true},                       // above the largest pid
		{"systemd-private-1-2", false},
		{prefix + "x-1", false},
		{prefix + "12", false},
		{prefix + "12-x", false},
	} {
		if got := ownerGone(c.name); got != c.want {
			t.Errorf("ownerGone(%q) is %v", c.name, got)
		}
	}
}
