module go_raw

go 1.21
