package posts_test

import (
	"testing"

	"github.com/omni-write/threads/internal/pg/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
