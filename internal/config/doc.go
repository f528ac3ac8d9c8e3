// Package config turns the [X-Switcheroo] section of a unit and the daemon's
// own switcherood.conf into typed, validated values.
//
// A unit file says which public port its instances serve:
//
//	# /etc/systemd/system/myapp@.service
//	[Service]
//	Type=notify
//	ExecStart=/opt/myapp/%i/server
//
//	[X-Switcheroo]
//	Listen=https=443
//	Listen=http=80
//	Port=https=8443 http=8080
//	Probe=http:/healthz
//
// [ParseInstance] reads the fragment and its drop-ins with systemd's own
// syntax: what systemd joins, skips, trims and resets is joined, skipped,
// trimmed and reset here. It reads nothing from disk and asks nobody, so the
// same bytes always give the same answer.
//
// Every fault is an [Error] with file, line, what is wrong and what to write
// instead; all faults of a unit come together as [Errors]. Only values in
// force are judged: a bad value that a later line replaces or resets is no
// fault.
//
// [Conflicts] tells which instances claim what another service holds.
// [ParseDaemon] reads the daemon's settings, in the same syntax and error form.
package config
