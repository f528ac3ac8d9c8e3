// Package unit is systemd as the rest of the program sees it: which units carry
// the [X-Switcheroo] section, what state they are in, and how to stop and
// enable them. It speaks D-Bus, through the message bus or, while that is
// down, through systemd's private socket, and survives the restart of either.
//
// A Client's Run watches. It first delivers a Resync with every loaded service
// that carries the section, then a Changed for each of them that changes and a
// Gone for each that systemd has unloaded:
//
//	client := unit.New(unit.Options{Log: log})
//	defer client.Close()
//	events := make(chan unit.Event)
//	go client.Run(ctx, events)
//	for event := range events {
//		switch event.Kind {
//		case unit.Resync: // event.Units is all there is
//		case unit.Changed: // event.Unit
//		case unit.Gone: // event.Name
//		case unit.Lost: // nothing is known to have changed
//		}
//	}
//
// Events say what is, not what happened: a reader that is slow gets the latest
// state of each unit, not every state it went through. An activation is told
// from the one before by Status.Invocation.
//
// # How it watches
//
// systemd announces each change of a unit by two signals, one with the
// properties of the service and then one with those of the unit. Together they
// hold all of Status that changes while a unit is loaded, so an event costs no
// call; a unit's files, type, cgroup and the type of a queued job are read once
// each. Signals and replies come through one connection, in order, and carry
// sequence numbers, so that an old signal never undoes a newer reply.
//
// Three goroutines a connection: godbus's reader, the one that owns the state
// (session.run), and at most one that reads what the signals left out.
package unit
