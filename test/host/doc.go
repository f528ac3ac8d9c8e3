// Package host boots real systemd, as PID 1 of private namespaces, for tests
// and demonstrations. It needs root, systemd, dbus and iproute2, and takes
// about 200 ms a host.
//
// A Host is an overlay over the machine's own root file system with its upper
// layer in memory, in PID, mount, network, UTS, IPC and cgroup namespaces of
// its own. What it writes is gone when it is closed, and the machine's units,
// rules, addresses and sysctls are neither used nor changed. A Network is a
// bridge in a namespace of its own; hosts Join it, and a Client is a place on
// it without systemd, for the programs that dial them.
//
//	network := host.StartNetwork(t)
//	h := host.Start(t, host.Options{Files: map[string]string{
//		"/etc/systemd/system/app.service": "[Service]\nExecStart=/app\n",
//	}, Binds: map[string]string{"/app": host.Build(t, "./app")}})
//	network.Join(t.Context(), h, "10.9.0.1/24", "fd00:9::1/64")
//	client := network.StartClient(t, "10.9.0.2/24", "fd00:9::2/64")
//	h.Systemctl(t.Context(), "start", "app.service")
//	client.Run(t.Context(), "curl", "http://10.9.0.1:8080")
//
// Nothing outlives the process that made it. Every PID 1 is the child of an
// OS thread that is kept for it, and dies with that thread (PR_SET_PDEATHSIG);
// its processes die with its PID namespace; mounts, links and rules go with
// the last process in their namespaces. After a SIGKILL only empty cgroup
// directories and an empty temporary directory stay, named after the dead
// process, and the next one that boots a host removes them.
package host
