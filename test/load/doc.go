// Package load is the judge of the promise: clients of the servers under test
// (test/server) that connect all the time, check every byte of every answer,
// and say of each connection that was not served perfectly what happened to
// it, when, and between which addresses. They never retry.
//
// There are three kinds of clients. Short ones send one request a connection,
// as fast as they can or at a given rate; keep-alive ones send some, then
// connect again; streams read a known pattern at a steady rate for some
// seconds. The server closes each connection first, so a source port is free
// as soon as its connection is over, and Config.SourcePorts makes them come
// back within seconds, which is when a forgotten conntrack entry does harm.
//
// A server may say that it resets a connection of its own will (wire.Reset);
// that is counted, and is no failure.
//
// Run runs clients in this process, and so in its network namespace; Start
// runs the command swload in a guest of package host.
package load
