package apidoc

import "github.com/danielgtaylor/huma/v2"

// bounds are the most characters of what a client may send, by the name of the field or parameter, and of lists (with [] after the
// name) the most items. Unlike the limits of the manual, which the services judge by Threads' rules, the gateway holds everybody to
// these: no field is as large as a whole body.
var bounds = map[string]int{
	"accountId": 128, "id": 128, "deliveryId": 128, "mediaId": 128, "replyTo": 128, "quotePostId": 128, "repostOf": 128,
	"code": maxAddress, "state": maxAddress, "error": maxAddress, "ticket": maxAddress, "finish": maxAddress, // a person's link ends at the frontend, whatever is in it
	"username": 100, "author": 100, "q": 500, "after": 2048,
	"Idempotency-Key": 512, "Prefer": 1024, "If-Match": 4096, "If-None-Match": 4096, "Last-Event-ID": 1024, "lastEventId": 1024,
	"facts": 4096, "facts[]": 100, "facts.items": 64, "metrics[]": 50, "metrics.items": 64, "status[]": 20, "state[]": 20, "kind[]": 20,
	"hub.mode": 64, "hub.verify_token": 1024, "hub.challenge": 1024, "X-Hub-Signature-256": 256,

	"scheduledAt": 64, "timeZone": 64, "mediaUrl": 2048, "link": 2048, "description": 1000,
	"countries[]": 250, "countries.items": 2, "provider": 32, "plaintext": 20_000, "styles[]": 1000, "styles.items": 32,
}

// maxAddress is more than a whole address may have.
const maxAddress = 8 << 10

// bound gives every string and list that clients send its bound, where it has none.
func bound(doc *huma.OpenAPI) {
	for _, op := range operations(doc) {
		for _, p := range op.Parameters {
			if p.In == "path" {
				setLength(p.Schema, maxAddress) // what cannot be an id is missing like any other
				continue
			}
			boundOne(p.Schema, p.Name)
			if op.OperationID == "validatePost" && p.Name == "media" {
				p.Schema.Default = true // which the route sees to
			}
		}
		if op.RequestBody == nil {
			continue
		}
		for _, content := range op.RequestBody.Content {
			if content.Schema != nil && content.Schema.Type == huma.TypeString { // a file, or bytes that are signed
				setLength(content.Schema, int(op.MaxBodyBytes))
			}
		}
	}
	for _, name := range requestOnly {
		if schema := doc.Components.Schemas.Map()[name]; schema != nil {
			boundOne(schema, "")
		}
	}
}

func boundOne(s *huma.Schema, name string) {
	if s == nil || s.Ref != "" {
		return
	}
	switch s.Type {
	case huma.TypeString:
		if most, ok := bounds[name]; ok && len(s.Enum) == 0 && s.Format == "" && s.Extensions["maxLength"] == nil && s.MaxLength == nil {
			setLength(s, most)
		}
	case huma.TypeArray:
		if most, ok := bounds[name+"[]"]; ok && s.Extensions["maxItems"] == nil && s.MaxItems == nil {
			s.MaxItems = &most
			s.PrecomputeMessages()
		}
		boundOne(s.Items, name+".items")
	case huma.TypeObject:
		for field, property := range s.Properties {
			boundOne(property, field)
		}
	}
}

func setLength(s *huma.Schema, most int) {
	s.MaxLength = &most
	s.PrecomputeMessages()
}
