package main

import (
	"maps"
	"slices"
)

// mode is how a server behaves. The zero mode, quick, has no fault: it answers
// at once, and on SIGTERM it stops accepting and finishes what is under way,
// echoes and WebSockets too, however long that takes.
type mode struct {
	textbook     bool // 20 to 50 ms a request; on SIGTERM http.Server.Shutdown, 5 s, and no more
	slowAccept   bool // 50 ms between accepts
	overload     bool // a short accept queue that is full for a third of the time, and more under more load
	neverAccepts bool // listens, that is all
	abrupt       bool // exits at once on SIGTERM
	resets       bool // resets 2 % of its connections, those in HTTP/1.1 without TLS
	unhealthy    bool // 503 at /healthz
	neverReady   bool // no READY=1
	exitsUnready bool // exits where others send READY=1
	noListener   bool
	twoListeners bool // one more than asked for
	dies         bool // some time after READY=1
}

var modes = map[string]mode{
	"quick":             {},
	"graceful":          {textbook: true},
	"overload":          {overload: true},
	"slow-accept":       {slowAccept: true},
	"never-accepts":     {neverAccepts: true},
	"abrupt":            {abrupt: true},
	"resetting":         {resets: true},
	"unhealthy":         {unhealthy: true},
	"never-ready":       {neverReady: true},
	"exit-before-ready": {exitsUnready: true},
	"no-listener":       {noListener: true},
	"two-listeners":     {twoListeners: true},
	"dies-after":        {dies: true},
}

func modeNames() []string { return slices.Sorted(maps.Keys(modes)) }
