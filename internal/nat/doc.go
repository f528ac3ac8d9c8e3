// Package nat describes, as values, which public endpoints lead to which
// private ports, and what a backend must do to make the kernel agree.
package nat
