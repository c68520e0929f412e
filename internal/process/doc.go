// Package process is what every program of ours needs to be a process: its settings from the environment, a
// logger, signals, parts that run together and stop in order, and a port where others see how it is.
package process
