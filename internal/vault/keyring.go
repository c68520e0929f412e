package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// What Tink puts before the bytes it seals: a version, and the key's id.
const (
	TinkPrefix = 1
	PrefixLen  = 5
)

// KeyID is the key that something was sealed with. It reports false where the bytes do not begin as sealed ones do.
func KeyID(sealed []byte) (uint32, bool) {
	if len(sealed) <= PrefixLen || sealed[0] != TinkPrefix {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:PrefixLen]), true
}

// PrefixOf is how everything begins that a key has sealed.
func PrefixOf(id uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{TinkPrefix}, id)
}

// readKeys reads a keyset in JSON, or in base64 of that JSON. Its errors do not quote it, as Tink's own may.
func readKeys(keysetJSON []byte) (*keyset.Handle, error) {
	text := bytes.TrimSpace(keysetJSON)
	if len(text) == 0 {
		return nil, errors.New("open the token keyset: it is empty")
	}
	if text[0] != '{' {
		decoded, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			return nil, errors.New("open the token keyset: it is neither JSON nor base64 of JSON")
		}
		text = decoded
	}
	// Clear keys are what we have: the environment or a file of mode 0600 is their guard.
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, errors.New("open the token keyset: it is not a Tink keyset in JSON")
	}
	for _, k := range handle.KeysetInfo().GetKeyInfo() {
		if k.GetOutputPrefixType() != tinkpb.OutputPrefixType_TINK { // a row could not tell which key it is sealed with
			return nil, errors.New("open the token keyset: its keys do not mark what they seal; make one with `keys new`")
		}
	}
	return handle, nil
}

func openKeyring(keysetJSON []byte) (*keyring, error) {
	handle, err := readKeys(keysetJSON)
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, errors.New("open the token keyset: its keys are not for authenticated encryption (AEAD)")
	}
	info := handle.KeysetInfo()
	r := &keyring{aead: primitive, primary: info.GetPrimaryKeyId()}
	for _, k := range info.GetKeyInfo() {
		if k.GetStatus() == tinkpb.KeyStatusType_ENABLED {
			r.ids = append(r.ids, k.GetKeyId())
		}
	}
	return r, nil
}

func writeKeys(handle *keyset.Handle) ([]byte, error) {
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
		return nil, errors.New("write the keyset: Tink could not encode it")
	}
	return append(b.Bytes(), '\n'), nil
}
