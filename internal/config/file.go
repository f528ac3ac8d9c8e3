package config

// File is a unit file or drop-in as read from disk.
type File struct {
	Path string
	Data []byte
}
