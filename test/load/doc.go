// Package load is the judge of the promise: clients of the servers under test
// (test/server) that connect all the time, check every byte of every answer,
// and say of each connection that was not served perfectly what happened to
// it, when, and between which addresses. They never retry.
//
// A kind of client is a script for one connection, with a file of its own.
// Short ones send one request a connection, as fast as they can or at a given
// rate; keep-alive ones send some, then connect again; streams read a known
// pattern at a steady rate for some seconds. These three speak HTTP/1.1 or the
// protocol of Redis. The others speak raw TCP, whose bytes come back; HTTP/1.1
// in TLS; WebSocket; and HTTP/2, with several requests at once. All of them can
// share one port of one server.
//
// With pauses between their requests clients behave as real ones do: before a
// request they look whether the server has closed the connection meanwhile,
// and connect again if it has (Counters.IdleCloses). So do they if the server
// says with a response that it will close, and in HTTP/2 if it says which
// requests it will not begin. A request that was sent and finds no answer is a
// failure, and so is any reset, and the end of a connection that the protocol
// has no such end for: of an echo that owes bytes, of a WebSocket without Close.
//
// The server closes each connection first (but those of HTTP/2), so a source
// port is free as soon as its connection is over, and Config.SourcePorts makes
// them come back within seconds, which is when a forgotten conntrack entry does
// harm.
//
// A server may say that it resets a connection of its own will (wire.Reset);
// that is counted, and is no failure.
//
// Every failure has its class, its phase and its times (Failure), and with
// Config.Samples every answer has its latency and its time (Samples): enough to
// say which switch either belongs to.
//
// Run runs clients in this process, and so in its network namespace; Start
// runs the command swload in a guest of package host.
package load
