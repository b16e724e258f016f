module echo

go 1.21

require restyffi v0.0.0

replace restyffi => ../../../sdk/go
