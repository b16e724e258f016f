module restyffi

go 1.21
