package pg

// For tests with migrations of their own.
var (
	MigrateFS = migrateFS
	PendingFS = pendingFS

	IndexProgress = indexProgress
)
