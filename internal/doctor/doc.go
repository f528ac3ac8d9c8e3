// Package doctor judges facts about a host: what goes wrong in practice with
// redirected ports, and what to do about it. Each check is a pure function of
// [Facts]; who reads them, and how, is up to the caller. The facts that anybody
// may read of this host are read by [ReadHost].
//
// A check whose facts could not be read says so: silence is health.
package doctor
