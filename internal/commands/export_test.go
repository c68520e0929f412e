package commands

// Begin is begin, for tests.
var Begin = begin
