package events

import _ "embed"

// The contract for programs that are not in Go, as this version has it.
var (
	//go:embed events.d.ts
	typeScriptFile []byte
	//go:embed asyncapi.yaml
	asyncAPIFile []byte
)

// TypeScript is the file of types for TypeScript.
func TypeScript() []byte { return typeScriptFile }

// AsyncAPI is the description of every message and where it travels, with their schemas.
func AsyncAPI() []byte { return asyncAPIFile }
