// Package boot puts a service together from its environment: settings, connections, keys. The commands of separate processes
// and the system in one process use the same functions. It also brings database and streams to this version.
package boot
