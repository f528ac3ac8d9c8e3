// Package pages follows the pages of docs/ to the letter, on hosts with real
// systemd, as a reader would who types every command and writes every file.
//
// A page is plain Markdown. Its fenced blocks are steps, in their order:
//
//   - sh: commands, which have to succeed, for a shell with -e;
//   - console: commands behind "$ ", each with what it prints. Output is compared
//     in shape: numbers, times and runs of blanks stand for any, except for a
//     number that is alone on its line; "..." stands for anything, and alone on a
//     line for any lines;
//   - any other block whose first line (or second, after "#!") is a comment with
//     an absolute path and nothing else: a file of that name;
//   - text, or no language: for the eye only. No line of it may begin with the
//     name of a program, but in the few blocks that the test says why of.
//
// Other blocks are mistakes, and so is code that is set off by indentation: it
// would not be run. A comment above a block says more about it:
//
//	<!-- test: elsewhere -->   on another machine, not on the one with the server
//	<!-- test: meanwhile -->   in another terminal: it runs until the page ends,
//	                           and must not have ended before
//	<!-- test: fails 6 -->     the last command ends with this status
//	<!-- test: copied /x -->   the reader copies what it prints to the server, to /x
//
// A comment "test: another server" on a line of its own begins a part of the page
// that is about another server than the part before: on each of them the reader
// has done first what stands above the first such comment.
package pages
