// Package judge says what clients lost in a run of switches: each failure with
// the switch that it belongs to, and how long requests took around a switch
// beside quiet times.
package judge
