module go_depends

go 1.21
