package accounts

// SealedColumns are the columns that Reseal knows of.
func SealedColumns() (names []string) {
	for _, p := range sealedPlaces {
		names = append(names, p.table+"."+p.column)
	}
	return names
}
