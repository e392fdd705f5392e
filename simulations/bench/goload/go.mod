module goload

go 1.22
