package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo"
	"github.com/switcheroo/switcheroo/internal/config"
)

// timespan is an option's value, in systemd's notation.
type timespan time.Duration

func (t timespan) duration() time.Duration { return time.Duration(t) }

// String returns the value for --help.
func (t timespan) String() string {
	if t.duration() == config.Infinity {
		return "infinity"
	}
	text := t.duration().String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s") + "in" // 5min
	}
	return text
}

// Set reads the value.
func (t *timespan) Set(s string) error {
	d, err := config.ParseTimespan(s)
	*t = timespan(d)
	return err
}

// Type names the value in --help.
func (t *timespan) Type() string { return "TIME" }

// scopeValue is whose connections are led to the server.
type scopeValue switcheroo.Scope

var scopes = map[string]switcheroo.Scope{
	"network": switcheroo.Network, "localhost": switcheroo.Localhost, "both": switcheroo.Everyone,
}

// String returns the value for --help.
func (s scopeValue) String() string {
	for name, scope := range scopes {
		if scope == switcheroo.Scope(s) {
			return name
		}
	}
	return ""
}

// Set reads the value.
func (s *scopeValue) Set(text string) error {
	scope, ok := scopes[text]
	if !ok {
		return errors.New("expected network, localhost or both")
	}
	*s = scopeValue(scope)
	return nil
}

// Type names the value in --help.
func (s *scopeValue) Type() string { return "SCOPE" }

// portRange is where a private port comes from; the zero value is the
// library's.
type portRange struct{ min, max int }

// String returns the value for --help.
func (r portRange) String() string {
	if r == (portRange{}) {
		return ""
	}
	return fmt.Sprintf("%d-%d", r.min, r.max)
}

// Set reads the value.
func (r *portRange) Set(text string) error {
	first, last, found := strings.Cut(text, "-")
	if !found {
		last = first
	}
	var err, err2 error
	r.min, err = strconv.Atoi(first)
	r.max, err2 = strconv.Atoi(last)
	if err != nil || err2 != nil || r.min < 1 || r.max > 65535 || r.min > r.max {
		return errors.New("expected a range of ports such as 61000-61099")
	}
	return nil
}

// Type names the value in --help.
func (r *portRange) Type() string { return "RANGE" }

// jsonForm is systemctl's --json=.
type jsonForm string

var jsonForms = []string{"pretty", "short", "off"}

// String returns the value for --help.
func (j jsonForm) String() string { return string(j) }

// Set reads the value.
func (j *jsonForm) Set(text string) error {
	if !slices.Contains(jsonForms, text) {
		return errors.New("expected pretty, short or off")
	}
	*j = jsonForm(text)
	return nil
}

// Type names the value in --help.
func (j *jsonForm) Type() string { return "FORM" }
